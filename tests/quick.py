"""What `make test` runs of the journeys and of the pages in Chromium: one of each capability.

All others are `long`.
"""

QUICK: dict[str, set[str]] = {
    "test_checkadapter.py": {"test_a_broken_adapter_is_told_why_and_what_to_do"},
    "test_cli.py": {"test_a_receiver_sees_each_event_of_a_push_once"},
    "test_documents.py": {"test_a_program_of_the_documents_runs_as_pasted[README.md:19]"},
    "test_engine.py": {"test_a_stranger_beside_the_engine_gets_nothing"},
    "test_every_page.py": {"test_pages_of_visitors"},
    "test_every_state.py": {"test_a_dropped_folder_gives_its_two_files"},
    "test_in_the_browser.py": {"test_sign_up_upload_write_key_usage"},
    "test_javascript_client.py": {
        "test_it_lists_the_models",
        "test_it_reads_an_answer_whole_as_chunks_and_as_events",
        "test_what_it_heard_is_billed",
        "test_what_it_aborts_is_stopped_and_billed_what_was_made",
        "test_its_errors_are_those_it_documents",
    },
    "test_official_client.py": {
        "test_the_lesson_runs_as_written",
        "test_adapters_that_the_engine_was_started_with_are_recognised",
        "test_a_streamed_answer_is_the_same_text_as_a_whole_one",
        "test_a_structured_answer_is_parsed_into_its_class",
        "test_completions_and_provenance",
        "test_a_key_that_is_wrong_is_refused",
        "test_a_hang_up_is_billed_what_was_made",
        "test_who_asks_for_a_style_on_its_way_waits_and_gets_its_text",
    },
    "test_mcp.py": {"test_over_the_command_line_a_text_is_written"},
    "test_other_forms.py": {
        "test_a_response_is_streamed",
        "test_a_key_of_messages_that_is_wrong_is_refused",
    },
    "test_own_style.py": {
        "test_a_text_becomes_a_style_that_answers",
        "test_the_trained_style_is_evaluated_and_drafts_are_compared_with_its_author",
    },
    "test_parts_that_die.py": {"test_an_upload_goes_on_when_a_part_dies[valkey]"},
    "test_payments.py": {"test_credits_by_card_a_plan_up_and_down_and_an_invoice_by_transfer"},
    "test_provenance.py": {
        "test_an_answer_is_marked_found_and_proved",
        "test_a_stream_says_in_its_last_chunk_that_it_is_marked",
        "test_what_has_no_mark_says_why_and_is_not_found",
    },
    "test_playground.py": {
        "test_four_models_answer_at_once_each_with_its_figures_and_the_call_as_it_was_sent"
    },
    "test_private_files.py": {
        "test_folders_and_files_are_their_owners_alone",
        "test_no_log_holds_a_secret",
        "test_a_task_that_went_well_leaves_no_line",
    },
    "test_probes.py": {"test_the_shipped_styles_change_words_strongly_and_show_it"},
    "test_releases.py": {"test_versions_are_called_by_number_tried_promoted_and_rolled_back"},
    "test_ten_styles_in_one_batch.py": {"test_every_answer_is_its_own_adapters"},
    "test_what_costs_somebody.py": {"test_a_typed_name_survives_a_session_that_ended"},
}
# Of these all tests are long.
LONG = {
    "test_agents.py",
    "test_blind_votes.py",
    "test_chaos.py",
    "test_cold_styles.py",
    "test_drawer.py",
    "test_every_console_page.py",
    "test_fine_tuning_clients.py",
    "test_fuzz.py",
    "test_newcomers.py",
    "test_quota_storm.py",
    "test_ray.py",
    "test_recorded_benchmarks_and_editors.py",
    "test_requests.py",
    "test_sharing_and_erasing.py",
    "test_training_in_the_browser.py",
}


def is_quick(file: str, test: str) -> bool:
    """Return whether a test, `test_x` or `test_x[parameters]`, is run by `make test`."""
    names = QUICK.get(file, set())
    return test in names or test.partition("[")[0] in names
