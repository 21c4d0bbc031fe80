"""The demo's sample data: a workspace as it looks after two months, which its owner removes in one step.

It is a workspace of its own, so its ledger never mixes with what people do, and nothing that is append-only
has to be deleted (docs/decisions/0062-the-demos-sample-is-a-workspace.md). `seeding.add_sample_data` makes
it, `removal` finds and removes it; `traffic` makes up the requests.
"""
