"""Examples of objects, for the OpenAPI document."""

STYLE_EXAMPLE = {
    "id": "3f0d9b6e-5a7c-4c1e-9b83-0e2f6d1a4c55",
    "object": "style",
    "model": "acme/brand-voice",
    "owner": "acme",
    "owner_name": "Acme",
    "slug": "brand-voice",
    "name": "Brand voice",
    "description": "How we write to customers.",
    "author": "Acme's editors",
    "licence": "CC BY 4.0",
    "tags": ["letters", "sales"],
    "language": "en",
    "sample_prompt": "Announce a sale.",
    "sample": "Good news travels fast, and so do our prices.",
    "effects": ["strong effect", "9 words per sentence"],
    "base_model": "SmolLM2-135M-Instruct",
    "temperature": 0.8,
    "top_p": 0.95,
    "live_version": 3,
    "is_own": True,
    "is_public": False,
    "is_shared": False,
    "is_selected": False,
    "ends_at": None,
    "prices": [],
    "canary": {"version": 4, "percent": 10, "since": "2026-11-26T09:30:00Z"},
    "newest_version": {"number": 4, "status": "serving"},
    "offer": {
        "state": "none",
        "offered_at": None,
        "declined_reason": "",
        "asked_prices": None,
        "asked_author_percent": 0,
        "public_since": None,
        "public_until": None,
        "waiting_version": None,
        "waiting_words": [],
    },
    "test_prompts": ["Announce a sale.", "Answer a complaint."],
    "created_at": "2026-11-20T08:00:00Z",
}
PRICE_CHANGE_EXAMPLE = {
    "object": "price_change",
    "model": "acme/brand-voice",
    "state": "waiting",
    "prices": {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400},
    "prices_usd": {"input": "$0.60", "cached_input": "$0.15", "output": "$2.40"},
    "author_percent": 25,
    "first_day": "2026-12-15",
    "effective_from": None,
    "reason": "",
    "asked_at": "2026-11-26T09:30:00Z",
}
VERSION_EXAMPLE = {
    "id": "9a1c7e52-7b0f-4b62-8f5d-1f4c8f6d2b10",
    "object": "version",
    "style": "3f0d9b6e-5a7c-4c1e-9b83-0e2f6d1a4c55",
    "number": 4,
    "model": "acme/brand-voice@4",
    "status": "serving",
    "is_live": False,
    "is_canary": True,
    "is_approved": False,
    "auto_promote": False,
    "note": "",
    "failure": "",
    "share_refusal": "",
    "findings": [],
    "is_convertible": False,
    "converted_from": None,
    "files": {"adapter_config.json": 812, "adapter_model.safetensors": 2_459_136},
    "size_bytes": 2_459_136,
    "stored_bytes": 2_459_948,
    "sha256": "c0ffee" + 58 * "0",
    "config_sha256": "beef" + 60 * "0",
    "rank": 8,
    "alpha": 16.0,
    "target_modules": ["q_proj", "v_proj"],
    "stated_quantisation": "none",
    "effects": ["strong effect", "9 words per sentence"],
    "erasure": None,
    "created_by": "alice@example.com",
    "created_at": "2026-11-26T09:30:00Z",
    "files_gone_at": None,
}
REPORT_EXAMPLE = {
    "object": "report",
    "version": 2,
    "status": "rejected",
    "findings": [
        {
            "code": "rank_too_high",
            "sentence": "The rank is 256; this engine supports up to 64.",
            "fix": "Train with r=64 or less.",
            "tensor": "",
        }
    ],
    "conversions": [],
}
CARD_EXAMPLE = {
    "object": "card",
    "version": 4,
    "strength": 0.71,
    "effect": "strong",
    "factor": 2.03,
    "peer": "poetry",
    "peer_strength": 0.64,
    "shifts": [{"prompt": "Why is the sky blue?", "shift": 0.69}],
    "measures": [{"label": "Words per sentence", "base": "17", "style": "9"}],
    "phrases": ["good news"],
    "samples": [
        {
            "prompt": "Why is the sky blue?",
            "base": "The sky is blue because of scattering.",
            "style": "Blue sells.",
        }
    ],
}
FIGURES_EXAMPLE = {
    "requests": 120,
    "errors": 1,
    "empty": 0,
    "completion_tokens": 18_200,
    "error_percent": 0.83,
    "empty_percent": 0.0,
}
CANARY_EXAMPLE = {
    "object": "canary",
    "version": 4,
    "live_version": 3,
    "percent": 10,
    "since": "2026-11-26T09:30:00Z",
    "figures": FIGURES_EXAMPLE,
    "live_figures": FIGURES_EXAMPLE,
    "sentence": "Version 4 gets 10% of requests; it fails as often as version 3.",
    "fault": "",
}
RELEASE_EXAMPLE = {
    "object": "release",
    "alias": "live",
    "before": 2,
    "after": 3,
    "percent": 0,
    "sentence": "Version 3 replaced version 2",
    "reason": "",
    "actor": "alice@example.com",
    "api_key": None,
    "at": "2026-11-26T09:30:00Z",
}
COMPARISON_EXAMPLE = {
    "object": "comparison",
    "first": {"version": VERSION_EXAMPLE, "card": CARD_EXAMPLE, "figures": FIGURES_EXAMPLE},
    "second": {"version": VERSION_EXAMPLE, "card": None, "figures": FIGURES_EXAMPLE},
    "samples": [{"prompt": "Why is the sky blue?", "first": "Blue sells.", "second": "It is air."}],
    "sentences": ["Version 4 writes 30% longer sentences (11.7 words, compared to 9.0)."],
}
SHARE_EXAMPLE = {
    "object": "share",
    "style": "3f0d9b6e-5a7c-4c1e-9b83-0e2f6d1a4c55",
    "model": "acme/brand-voice",
    "workspace": "riverside",
    "workspace_name": "Riverside Press",
    "created_at": "2026-11-26T09:30:00Z",
    "ends_at": None,
}
ERASURE_EXAMPLE = {
    "id": "9a1c7e52-7b0f-4b62-8f5d-1f4c8f6d2b10",
    "object": "erasure",
    "style": "acme/brand-voice",
    "version": 4,
    "sha256": "c0ffee" + 58 * "0",
    "config_sha256": "beef" + 60 * "0",
    "size_bytes": 2_459_136,
    "requested_at": "2026-11-26T09:30:00Z",
    "finished_at": None,
    "is_finished": False,
    "steps": [
        {
            "label": "Withdrawn",
            "state": "done",
            "at": "2026-11-26T09:30:02Z",
            "note": "No model name in any workspace points to it.",
        },
        {"label": "Drained", "state": "current", "at": None, "note": ""},
    ],
    "stays": "We keep the version's record, because usage in the ledger refers to it.",
}
UPLOAD_EXAMPLE = {
    "id": "5d0c1f9a-7b1e-4f0e-9d53-2f6a7c8b9e01",
    "object": "upload",
    "style": "0f6a1c1e-52d3-4a8e-9b57-6d8f3f1b2a40",
    "number": 4,
    "model": "acme/brand-voice@4",
    "method": "multipart",
    "status": "uploading",
    "is_final": False,
    "steps": [
        {
            "name": "uploading",
            "label": "Uploading files",
            "state": "current",
            "at": "2026-11-26T09:30:00Z",
            "note": "Your browser is uploading the files directly to storage.",
        },
        {"name": "uploaded", "label": "Uploaded", "state": "next", "at": None, "note": ""},
        {"name": "checked", "label": "Checked", "state": "next", "at": None, "note": ""},
        {"name": "pushed", "label": "Pushed to the engine", "state": "next", "at": None, "note": ""},
        {"name": "serving", "label": "Serving", "state": "next", "at": None, "note": ""},
    ],
    "files": [
        {
            "name": "adapter_config.json",
            "size_bytes": 712,
            "is_there": True,
            "part_bytes": 8_388_608,
            "part_count": 1,
            "parts_there": [
                {"number": 1, "size_bytes": 712, "etag": '"9e107d9d372bb6826bd81d3542a419d6"'},
            ],
            "part_urls": [],
        },
        {
            "name": "adapter_model.safetensors",
            "size_bytes": 10_485_760,
            "is_there": False,
            "part_bytes": 8_388_608,
            "part_count": 2,
            "parts_there": [
                {"number": 1, "size_bytes": 8_388_608, "etag": '"e4d909c290d0fb1ca068ffaddf22cbd0"'},
            ],
            "part_urls": [{"number": 2, "size_bytes": 2_097_152, "url": "https://storage.example.com/…"}],
        },
    ],
    "urls_valid_s": 620,
    "findings": [],
    "failure": "",
    "created_at": "2026-11-26T09:30:00Z",
    "abandoned_at": "2026-11-27T09:30:00Z",
}
FINISHED_EXAMPLE = {**UPLOAD_EXAMPLE, "status": "uploaded"}
CANCELLED_EXAMPLE = {
    **UPLOAD_EXAMPLE,
    "status": "rejected",
    "is_final": True,
    "findings": [
        {
            "code": "cancelled",
            "sentence": "The upload was cancelled before it was complete.",
            "fix": "Upload the adapter again.",
        }
    ],
}
EVENTS_EXAMPLE = (
    'event: step\ndata: {"status": "uploaded", …}\n\nevent: end\ndata: {"status": "serving", …}\n\n'
)
NEW_VERSION_BODY_EXAMPLE = {
    "files": [
        {"name": "adapter_config.json", "size_bytes": 812},
        {"name": "adapter_model.safetensors", "size_bytes": 10_485_760},
    ],
    "method": "multipart",
    "auto_promote": False,
}
DOWNLOAD_EXAMPLE = {
    "object": "download",
    "model": "acme/brand-voice@4",
    "files": [
        {
            "name": "adapter_config.json",
            "size_bytes": 812,
            "sha256": "9f2c" + "0" * 60,
            "url": "https://storage.example.com/polyscribe/adapters/9a1c7e52/adapter_config.json?X-Amz-Signature=4f1c",
        }
    ],
    "urls_valid_s": 600,
}
NEW_VERSION_EXAMPLE = {
    **VERSION_EXAMPLE,
    "status": "uploading",
    "upload": {
        "id": VERSION_EXAMPLE["id"],
        "method": "multipart",
        "files": [
            {
                "name": "adapter_config.json",
                "size_bytes": 812,
                "form": None,
                "part_bytes": 8_388_608,
                "part_count": 1,
            },
            {
                "name": "adapter_model.safetensors",
                "size_bytes": 10_485_760,
                "form": None,
                "part_bytes": 8_388_608,
                "part_count": 2,
            },
        ],
    },
}
