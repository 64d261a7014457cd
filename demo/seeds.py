"""What the shop's database holds when it is new."""

type CustomerRow = tuple[int, str, str, str, str, str]
type OrderRow = tuple[int, int, str, str, int, str, str]

CUSTOMERS: list[CustomerRow] = [
    (1, "Ada Lovelace", "ada@example.com", "premium", "GB", "2023-02-11"),
    (2, "Grace Hopper", "grace@example.com", "premium", "US", "2022-09-30"),
    (3, "Alan Turing", "alan@example.com", "plus", "GB", "2024-06-01"),
    (4, "Katherine Johnson", "katherine@example.com", "plus", "US", "2023-11-19"),
    (5, "Edsger Dijkstra", "edsger@example.com", "basic", "NL", "2025-01-07"),
    (6, "Mary Jackson", "mary@example.com", "basic", "US", "2025-08-23"),
    (7, "Konrad Zuse", "konrad@example.com", "basic", "DE", "2021-03-15"),
    (8, "Hedy Lamarr", "hedy@example.com", "plus", "AT", "2022-05-04"),
]
"""Number, name, address, tier, country, day of the first order."""

ORDERS: list[OrderRow] = [
    (1001, 1, "Analytical engine, bench model", "delivered", 124_900, "EUR", "2025-09-02"),
    (1002, 1, "Punched cards, box of 500", "delivered", 4_550, "EUR", "2025-09-20"),
    (1003, 2, "Nanosecond wire, 30 cm", "shipped", 1_999, "EUR", "2025-10-01"),
    (1004, 2, "Compiler handbook, signed", "delivered", 8_900, "EUR", "2025-07-14"),
    (1005, 3, "Paper tape, endless", "open", 31_415, "EUR", "2025-10-11"),
    (1006, 4, "Orbital slide rule", "delivered", 75_000, "EUR", "2025-06-30"),
    (1007, 5, "Map with shortest paths", "shipped", 2_700, "EUR", "2025-10-08"),
    (1008, 6, "Wind tunnel fan", "cancelled", 56_025, "EUR", "2025-08-25"),
    (1009, 7, "Relay set, 2,600 pieces", "delivered", 99_999, "EUR", "2022-04-01"),
    (1010, 8, "Frequency hopping radio", "open", 42_010, "EUR", "2025-10-12"),
]
"""Number, customer, item, state, total in cents, currency, day of the order."""
