"""Made-up transactions with made-up fraud: for the first model, demonstrations and tests."""

from ml.simulator.payments import simulate_payments
from ml.simulator.population import Population, draw_population
from ml.simulator.tables import simulate_table

__all__ = ["Population", "draw_population", "simulate_payments", "simulate_table"]
