// Runs once, when MongoDB's data folder is empty: the server's user, who may use one database, and its collections.
// Their indexes are made by the server at every start.
db.createUser({
  user: "orchestrator",
  pwd: process.env.ORCHESTRATOR_PASSWORD,
  roles: [{ role: "readWrite", db: db.getName() }],
});

for (const name of [
  "approvals",
  "audit",
  "circuit_breaker_backup",
  "policies",
  "experiment_counters",
  "experiment_events",
  "experiment_journal",
  "experiment_namespaces",
  "experiments",
  "knowledge_chunks",
  "knowledge_documents",
  "knowledge_index",
  "knowledge_jobs",
  "knowledge_uploads",
  "ledger",
  "runs",
  "outbox",
  "user_assignments",
]) {
  db.createCollection(name);
}
