"""Settings: read once, from the environment and an optional `.env` file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import ConfigurationError

ENV_FILE = ".env"


class Settings(BaseSettings):
    """Every setting; its environment variable is its name in capitals."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start without API_KEYS"
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8700, ge=1, le=65535, description="Port to listen on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged")
    log_format: Literal["console", "json"] = Field("console", description="Form of a log line")
    data_dir: Path = Field(Path("data"), description="Folder of the embedded stores")
    services_file: Path = Field(Path("services.yaml"), description="Which services the agent may call")
    policy_file: Path = Field(Path("policy.yaml"), description="What the agent may do, and what asks a human")

    api_keys: SecretStr = Field(
        SecretStr(""), description="`name:role+role:sha256`, separated by commas; make one with `python -m boot.keys`"
    )

    llm_model: str = Field("qwen3:1.7b", description="The model's name on the Ollama server")
    ollama_url: str | None = Field(None, description="Base URL of Ollama; absent: the embedded planner answers")
    llm_temperature: float = Field(0.3, ge=0, le=2, description="The model's temperature")
    llm_context_tokens: int = Field(8_192, ge=512, description="The model's context (`num_ctx`)")
    llm_timeout_seconds: float = Field(120.0, gt=0, description="Longest wait for one answer of the model")

    petstore_url: str | None = Field(None, description="Base URL of the pet store")
    vehicles_url: str | None = Field(None, description="Base URL of the vehicles API")
    cloudapp_url: str | None = Field(None, description="Base URL of the cloud application")
    ml_url: str | None = Field(None, description="Base URL of the segmentation API")

    http_max_connections: int = Field(100, ge=1, description="Connections to one service")
    http_max_keepalive: int = Field(20, ge=0, description="Idle connections kept to one service")
    http_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for one call of a service")

    redis_url: SecretStr | None = Field(
        None, description="Redis or Valkey for checkpoints, locks and breakers; absent: embedded"
    )
    redis_max_connections: int = Field(32, ge=2, description="Connections to Redis; who finds none free waits")
    checkpointer: Literal["redis", "redis-json", "sqlite", "memory"] | None = Field(
        None, description="Where checkpoints go; absent: `redis` where REDIS_URL is set, else `sqlite`"
    )
    checkpoints_kept: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        10, description="Checkpoints of a thread that stay beside the newest: ends of runs and pauses first; or `all`"
    )
    checkpoint_ttl_minutes: int | None = Field(
        None, ge=1, description="How long Redis keeps an unused thread; absent: for good"
    )
    checkpoint_ttl_waiting: bool = Field(False, description="true: that holds for threads that wait for a human, too")
    checkpoint_compress_bytes: int | None = Field(
        None, ge=0, description="Values in checkpoints longer than this are compressed; absent: none"
    )
    checkpoint_key: SecretStr | None = Field(
        None, description="Encrypts checkpoints: 32 bytes in base64; more, after commas, decrypt only"
    )
    lease_seconds: float = Field(5.0, ge=1, le=60, description="How long a thread stays closed when its server dies")
    mongodb_url: SecretStr | None = Field(None, description="MongoDB for runs, approvals and ledger; absent: embedded")
    mongodb_database: str = Field("orchestrator", min_length=1, description="The database's name")
    mongodb_max_pool_size: int = Field(50, ge=1, description="Connections to each MongoDB server")
    allow_degraded: bool = Field(False, description="In production: start even if a configured store does not answer")

    enable_knowledge: bool = Field(True, description="false: no passages from documents, and this is said")
    chroma_url: str | None = Field(
        None, description="A Chroma server, for several replicas; absent: a folder in DATA_DIR"
    )
    embedding_model: str = Field(
        "nomic-embed-text", description="Ollama's model for search by meaning, where the server has it; else MiniLM"
    )
    rag_top_k: int = Field(4, ge=1, le=20, description="Passages a message gets at most")
    rag_min_score: float | None = Field(
        None, ge=0, le=1, description="Least relevance of a passage; absent: what suits the embedding"
    )
    rag_metadata_keys: str = Field(
        "category,language,product,tag", description="What a document's metadata may say and search may filter by"
    )
    rag_allowed_hosts: str = Field(
        "", description="Where documents may be fetched from: names, `.example.org` for all below one, by commas"
    )
    rag_allowed_networks: str = Field(
        "", description="Private networks that such a host may be in, such as `10.1.0.0/16`"
    )
    max_document_bytes: int = Field(10_000_000, ge=1_000, le=15_000_000, description="Largest document taken")

    breaker_window_seconds: float = Field(30.0, ge=0.01, description="How far back a breaker counts calls")
    breaker_minimum_calls: int = Field(10, ge=1, description="A breaker judges no fewer calls than these")
    breaker_failure_rate: float = Field(0.5, gt=0, le=1, description="Share of failed calls that opens a breaker")
    breaker_slow_seconds: float = Field(5.0, gt=0, description="A call that takes this long is slow")
    breaker_slow_rate: float = Field(0.8, gt=0, le=1, description="Share of slow calls that opens a breaker")
    breaker_open_seconds: float = Field(5.0, gt=0, description="First pause of an open breaker; it doubles")
    breaker_open_max_seconds: float = Field(300.0, gt=0, description="Longest pause of an open breaker")

    webhook_urls: SecretStr = Field(SecretStr(""), description="Who is told of approvals, separated by commas")
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="What webhooks are signed with: `whsec_` and base64, or any text"
    )
    webhook_allowed_hosts: str = Field("", description="`host` or `host:port` that may be told; absent: all of these")
    webhook_attempts: int = Field(8, ge=1, le=20, description="After so many a delivery is given up")
    webhook_retry_seconds: float = Field(5.0, gt=0, description="First pause before another attempt; it quadruples")
    webhook_timeout_seconds: float = Field(10.0, gt=0, le=30, description="Longest attempt at one delivery")

    enable_checkpointing: bool = Field(True, description="false: nothing survives a restart, and this is said")
    enable_hitl: bool = Field(True, description="false: actions that need a human are denied")
    enable_parallel: bool = Field(True, description="false: the actions of one round are sent one after the other")
    enable_error_handling: bool = Field(True, description="false: a failing service fails the run")
    enable_ab_testing: bool = Field(True, description="false: no run gets a variant, whatever experiments run")

    action_resolve_seconds: float = Field(
        20.0, ge=0, description="How long a service that answers is asked for a lost outcome until it is `unknown`"
    )
    max_steps: int = Field(5, ge=1, le=50, description="Rounds of actions one run may take")
    queue_seconds: float = Field(30.0, ge=0, description="How long a message waits for the run before it")
    window_chars: int = Field(8_000, ge=500, description="Budget of a conversation's working window")
    summary_chars: int = Field(2_000, ge=0, description="Budget of a conversation's running summary")
    max_message_chars: int = Field(16_000, ge=1, description="Longest message taken")
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="Largest request body taken")
    shutdown_grace_seconds: float = Field(5.0, ge=0, description="How long runs may finish when the server stops")

    @property
    def metadata_keys(self) -> frozenset[str]:
        """What the metadata of documents may say."""
        return frozenset(each.strip() for each in self.rag_metadata_keys.split(",") if each.strip())

    def variables(self) -> Mapping[str, str]:
        """Return what the services file may refer to: the environment, the `.env` file, and the URLs given here."""
        urls = {name.upper(): value for name, value in self if name.endswith("_url") and isinstance(value, str)}
        return {**{name: value for name, value in dotenv_values(ENV_FILE).items() if value}, **os.environ, **urls}


def read_settings() -> Settings:
    """Return the settings of this process; raises `ConfigurationError` naming each that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(f"These settings cannot be used: {wrong}") from error
