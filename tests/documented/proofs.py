"""Documented commands that the test of the pages does not run itself, and the test that shows each to work.

Everything that matches nothing here is run on the running stack, as printed (tests/e2e/test_documented_commands.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final


@dataclass(frozen=True)
class Proof:
    """Commands (as a regular expression) and the test that shows them to work; `why` it is not that of the pages."""

    command: str
    test: str
    why: str
    page: str = "*"

    def covers(self, page: str, command: str) -> bool:
        return fnmatch(page, self.page) and re.fullmatch(self.command, command) is not None


FOREGROUND: Final = "stays in the foreground"
ITSELF: Final = "is the test run, or one of its long forms"
MINUTES: Final = "takes minutes"
DISTURBS: Final = "would disturb the tests that share the stack"
LABELLED: Final = "needs weeks of labelled decisions"
ASKS_FOR_KEYS: Final = "the shared stack asks nobody for keys"
NOT_HERE: Final = "cannot run here: no container engine, cluster or account; what it reads is checked"

LAUNCHER: Final = "tests/e2e/test_launcher.py::"
TRAINING: Final = "tests/integration/test_training_end_to_end.py::"
FILES: Final = "tests/integration/test_deployment_files.py::"

PROOFS: Final = (
    # Starting
    Proof("make run( ARGS=.*)?", f"{LAUNCHER}test_killing_make_stops_everything_too", FOREGROUND),
    Proof(
        "tollgate up --schema \\S+",
        "tests/e2e/test_own_data.py::test_http_answers_are_the_offline_pipelines_probabilities",
        FOREGROUND,
    ),
    Proof(
        "tollgate up --data-dir restored",
        "tests/e2e/test_documented_commands.py::test_a_copy_of_what_runs_comes_up_elsewhere",
        FOREGROUND,
    ),
    Proof("source .venv/bin/activate", f"{LAUNCHER}test_killing_make_stops_everything_too", "belongs to a checkout"),
    # Developing
    Proof(
        "make (test|check|install-test|test-unit)",
        "tests/unit/deploy/test_pipelines.py::test_a_pipeline_runs_the_make_targets",
        ITSELF,
    ),
    Proof(
        "make help", "tests/unit/deploy/test_install.py::test_make_lists_the_targets_that_the_readme_promises", ITSELF
    ),
    Proof(
        "make faults( .*)?",
        "tests/faults/test_broker_dies.py::test_a_broker_killed_under_load_loses_nothing_that_was_accepted",
        ITSELF,
    ),
    Proof(
        "make fuzz",
        "tests/fuzz/test_corpus.py::test_a_changed_input_ends_in_a_value_or_a_declared_error",
        ITSELF,
    ),
    Proof("make soak( .*)?", "tests/faults/test_soak.py::test_memory_and_latency_stay_flat", ITSELF),
    Proof(
        "make bench",
        "tests/benchmarks/test_bench_run.py::test_every_server_is_measured_at_every_level_and_rate",
        MINUTES,
    ),
    Proof("make quality( .*)?", "tests/unit/deploy/test_quality_page.py::test_the_command_offers_every_part", MINUTES),
    Proof(
        "make docs",
        "tests/integration/test_docs_site.py::test_the_site_is_built_without_a_warning",
        "is a test of its own",
    ),
    Proof(
        "make references",
        "tests/unit/deploy/test_docs_site.py::test_what_is_generated_is_written_where_it_differs",
        "writes into the checkout",
    ),
    # Models
    Proof(
        "tollgate train --schema \\S+ --data \\S+",
        "tests/e2e/test_own_data.py::test_http_answers_are_the_offline_pipelines_probabilities",
        MINUTES,
    ),
    Proof("tollgate train", f"{TRAINING}test_training_on_the_ledger_prints_what_the_gate_decided", LABELLED),
    Proof(
        "tollgate promote VERSION( --force)?",
        f"{TRAINING}test_a_challenger_without_evidence_is_promoted_by_force_only_and_rolled_back",
        DISTURBS,
    ),
    Proof(
        "tollgate rollback",
        f"{TRAINING}test_a_challenger_without_evidence_is_promoted_by_force_only_and_rolled_back",
        DISTURBS,
    ),
    Proof(
        "tollgate (shadow|canary) .*",
        "tests/integration/test_challengers.py::test_the_commands_put_a_model_beside_the_champion_and_take_it_away",
        DISTURBS,
    ),
    Proof(
        'curl -X POST "http://localhost:8000/retrain"',
        "tests/e2e/test_the_loop_closes.py::test_labels_come_in_and_a_better_model_takes_over_in_every_worker_without_an_error",
        DISTURBS,
    ),
    Proof(
        "tollgate (thresholds|backtest).*",
        "tests/integration/test_backtest.py::test_the_commands_of_the_page_about_thresholds_work_as_printed",
        LABELLED,
    ),
    Proof(
        "tollgate replay (DECISION_ID|--all.*)",
        "tests/integration/test_replay.py::test_the_command_replays_by_either_id_and_the_whole_ledger",
        "the guide replays one; all would be the whole ledger of the shared stack",
    ),
    Proof(
        "tollgate forget account acct-00012345",
        "tests/integration/test_forget.py::test_an_account_is_forgotten_everywhere_and_its_neighbour_is_not",
        "asks first",
    ),
    Proof(
        "curl .*-X DELETE .*/batches/BATCH_ID.*",
        "tests/unit/web/batches/test_batches.py::test_cancelling_waits_for_what_is_out_and_is_said_twice_without_harm",
        "a batch that takes long enough to be cancelled takes long",
    ),
    # Who may come in
    Proof(
        "tollgate up --auth",
        f"{LAUNCHER}test_a_stack_that_asks_opens_to_the_key_that_it_printed_and_to_one_that_was_made_until_it_is_revoked",
        FOREGROUND,
    ),
    Proof(
        "tollgate keys .*",
        "tests/unit/deploy/test_access.py::test_keys_are_made_listed_rotated_and_revoked_on_the_command_line",
        "would leave keys in the shared stack",
    ),
    Proof(
        "curl .* https://tollgate.example/keys .*",
        "tests/unit/web/auth/test_key_routes.py::test_a_key_that_was_made_works_at_once_and_is_never_shown_again",
        ASKS_FOR_KEYS,
    ),
    Proof(
        "curl .* https://tollgate.example/decisions",
        "tests/unit/web/auth/test_guard.py::test_a_scope_opens_its_route_and_admin_opens_every_one",
        ASKS_FOR_KEYS,
    ),
    Proof(
        "tollgate forget .* --tenant acme",
        "tests/integration/test_forget.py::test_a_tenants_account_is_forgotten_and_its_namesake_stays",
        "asks first",
    ),
    Proof(
        "tollgate replay .* --tenant acme",
        "tests/integration/test_replay.py::test_tenants_with_the_same_cards_saw_histories_of_their_own",
        ASKS_FOR_KEYS,
    ),
    # Measuring
    Proof(
        "python -m deploy.bench.load .*",
        "tests/benchmarks/test_load_generator.py::test_the_command_prints_one_line_of_json",
        "loads the machine for seconds",
    ),
    # Elsewhere
    Proof(
        "cp .env.example .env|docker compose .*",
        "tests/e2e/test_compose_processes.py::test_every_process_comes_up_and_a_payment_goes_all_the_way_to_the_ledger",
        NOT_HERE,
    ),
    Proof(
        "kubectl .*|aws .*|curl --fail --output rds.pem .*",
        f"{FILES}test_everything_rendered_is_what_kubernetes_knows",
        NOT_HERE,
    ),
    Proof(
        "sh deploy/tls/make_certificates.sh certificates",
        "tests/integration/test_tls.py::test_certificates_that_are_there_are_kept_until_new_ones_are_asked_for",
        "makes keys, for whoever may write there",
    ),
    Proof(
        "pg_(dump|restore) .*",
        "tests/integration/test_ledger_postgres.py::test_a_dumped_ledger_is_whole_elsewhere",
        "needs PostgreSQL",
    ),
)


def proof_of(page: str, command: str) -> Proof | None:
    """The first proof that covers a command; None: the test of the pages runs it."""
    return next((proof for proof in PROOFS if proof.covers(page, command)), None)
