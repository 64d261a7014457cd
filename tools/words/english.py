"""The little English the embedded planner knows: stems, words that carry no content, and everyday synonyms."""

import re
from functools import lru_cache

NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    "a an the is are was were be been am me my mine i you your yours we us our he she they them their it its this that"
    " these those there here of in on at to for from by with and or as than into about all any some every each still"
    " yet already now please kindly what which who whom whose how many much do does did done have has had having"
    " can could would will shall should may might must let want need like know if whether tell give right just so then"
    " too also again one ones thing things whats s out up off per via etc hey hi hello ok okay thanks thank got am"
    " currently immediately asap quickly today really actually maybe exactly information info details me id ids number"
    " nr data belong belonging made exist exists yes either"
)
FILLERS = _words(
    "please kindly now then also and just ok okay hi hey hello yes so well alright sure next first finally thanks thank"
    " but plus"
)
READ_VERBS = _words(
    "list show get find search look display fetch view see check read count give tell lookup retrieve browse describe"
    " print return see open query inspect compare"
)
QUESTION_WORDS = _words(
    "what which who whom whose how when where why is are was were do does did has have had am whats"
)
ASKING_VERBS = _words("can could would will should shall may might must")
LISTING_VERBS = _words("list find search browse query all")
PRONOUNS = _words("it this that them they its their one ones same again his her him these those")
NEGATIONS = _words(
    "not never no cannot nor neither nothing nevermind dont doesnt didnt isnt arent wasnt werent cant"
    " wont shouldnt wouldnt couldnt mustnt neednt hasnt havent hadnt"
)
REMINDING = _words("forget hesitate")
CONDITIONS = _words("if unless whenever provided otherwise assuming")
TIMES = _words(
    "tomorrow tonight later monday tuesday wednesday thursday friday saturday sunday weekly daily monthly yearly"
)
WAITING = _words("when once until till after before while")
FACTS = _words(
    "status history policy amount details info information state log logs date price cost fee rate number count"
    " list report reason request requests confirmation total rules deadline terms options procedure process limit"
)
DETERMINERS = _words("a an the my our your his her their its this that these those some another new")
PREPOSITIONS = _words(
    "of from for in on to with at about by into onto under over via because due whose named called titled labelled"
    " labeled priced costing and or until till between using as having saying"
)
NAMING = _words("named called titled labelled labeled")
NAME_LIKE = _words("name title label")
QUERY_LIKE = _words("q query search keyword term text")
REASON_LIKE = _words("reason comment note message description justification explanation remark cause")
MONEY_LIKE = _words("amount price total cost fee value sum budget salary payment refund balance rate deposit charge")
PERCENT_LIKE = _words("percent percentage pct rate discount share tax ratio")
QUANTITY_LIKE = _words("quantity count qty limit top size copies units nights number seats pieces")
START_LIKE = _words("from since start begin after arrival checkin begins min")
END_LIKE = _words("to until end before departure checkout ends till due max")
MAX_LIKE = _words("max maximum upper below under lte lt most")
MIN_LIKE = _words("min minimum lower above over gte gt least")
VAGUE = _words(
    "good bad big small new old best worst latest last first next nice recent top cheap expensive other fast"
)
COMPARING = _words(
    "below under beneath within above over beyond than less cheaper lower fewer smaller younger shorter earlier more"
    " greater higher larger bigger older later longer most least maximum minimum max min between since until till after"
    " newer before through starting ending"
)
TURNING = _words(
    "minus negative less half third quarter twice thrice double triple except excluding"
    " approximately approx roughly nearly almost circa"
)
"""Words that make another number of the one after them, or leave open which one is meant."""

ROUND_ABOUT = _words("about around")
"""The same before an amount, and something else before most other things: `tell me about 5`."""

MULTIPLYING = _words(
    "hundred hundreds thousand thousands grand lakh crore m mm mn mil mio mln million millions bn billion billions tn"
    " trillion trillions dozen dozens pence penny pennies pct pc bps per each apiece times twice thrice fold half minus"
)
"""Words that make another number of the one before them."""

EVERYTHING = _words("all any anything everything")
SIDES = _words("since after before until till through")
OF_SIZE = _words("older younger newer earlier later longer shorter bigger larger smaller")
COLOURS = _words(
    "red blue green yellow black white grey gray silver orange purple brown pink gold beige turquoise violet navy"
)
GREETINGS = _words("hello hi hey greetings howdy morning afternoon evening welcome good day bye goodbye thanks thank")
HELP = _words("help capabilities commands usage menu")

VERB_GROUPS: tuple[frozenset[str], ...] = tuple(
    _words(group)
    for group in (
        "create add make new insert register place post",
        "delete remove erase drop destroy",
        "cancel revoke abort annul",
        "update change modify edit set adjust put patch mark",
        "book reserve",
        "refund reimburse",
        "send submit deliver",
        "approve accept confirm",
        "reject decline refuse",
        "pay settle",
        "start begin launch",
        "finish complete close end",
        "buy purchase",
        "borrow lend loan checkout",
        "assign allocate",
        "renew extend",
        "upload attach",
        "hire employ",
        "train retrain",
        "enable activate",
        "disable deactivate",
        "archive",
        "move transfer",
        "schedule",
        "ship",
        "restock",
        "block",
        "release",
        "replace",
        "return",
        "invite",
        "fire dismiss",
        "request",
        "import",
        "export",
        "run execute",
        "rename",
        "publish",
    )
)
THINGS: tuple[frozenset[str], ...] = tuple(
    _words(group)
    for group in (
        "vehicle car auto automobile truck van",
        "customer client buyer",
        "order purchase",
        "employee worker staff colleague",
        "invoice bill",
        "inventory stock",
        "book novel title",
        "pet animal",
        "room suite",
        "leave vacation holiday",
        "user account",
        "colour color",
        "price cost",
        "group segment cluster",
    )
)
SUFFIXES = (
    ("ations", 5, ""),
    ("ation", 5, ""),
    ("ions", 4, ""),
    ("ion", 4, ""),
    ("ings", 3, ""),
    ("ing", 3, ""),
    ("ied", 2, "y"),
    ("ed", 3, ""),
)


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return a lower-case word without its commonest endings, so that `refunded`, `refunds` and `refund` meet."""
    word = _singular(word)
    for ending, least, instead in SUFFIXES:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "uses", "zzes")):
        return word[:-2]
    return word[:-1]


def singular(noun: str) -> str:
    """Return one of what a plural names."""
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    return noun[:-2] if noun.endswith(("xes", "sses", "ches", "shes")) else noun.removesuffix("s")


def parts(name: str) -> tuple[str, ...]:
    """Return the lower-case words of an identifier: `findPetsByStatus` is find, pets, by, status."""
    return tuple(part.lower() for part in NAME_PART.findall(name))


@lru_cache(maxsize=256)
def stems(words: frozenset[str]) -> frozenset[str]:
    """Return the stems of a set of words."""
    return frozenset(map(stem, words))


@lru_cache(maxsize=1)
def verb_kin() -> dict[str, frozenset[str]]:
    """Return for every known verb's stem the stems of the verbs that mean the same."""
    return {stem(word): stems(group) for group in VERB_GROUPS for word in group}


@lru_cache(maxsize=1)
def thing_kin() -> dict[str, frozenset[str]]:
    """Return for every known noun's stem the stems of the nouns that mean nearly the same."""
    kin: dict[str, frozenset[str]] = {}
    for group in THINGS:
        for word in group:
            kin[stem(word)] = kin.get(stem(word), frozenset()) | stems(group)
    return kin


@lru_cache(maxsize=4_096)
def similar(one: str) -> frozenset[str]:
    """Return the stems that a noun's stem may stand for, itself among them; colours stand for `color`."""
    kin = thing_kin().get(one, frozenset()) | {one}
    return kin | thing_kin()[stem("color")] if one in COLOURS else kin


@lru_cache(maxsize=1)
def silent() -> frozenset[str]:
    """Return the stems that say nothing about which operation is meant."""
    return stems(STOP_WORDS)
