from adapters.models.engines import BaseModel, Engine, EngineSample, Placement
from adapters.models.evaluations import BaseReading, BlindVote, Evaluation, EvaluationStatus, Probe
from adapters.models.notes import (
    EvaluationFailure,
    EvaluationNote,
    LoadNote,
    ProbeFault,
    ShareRefusal,
    UploadNote,
)
from adapters.models.styles import Favourite, PriceChange, Release, Selection, Share, Style
from adapters.models.versions import AdapterVersion, EngineErasure, Erasure, Status, VersionStep

__all__ = [
    "AdapterVersion",
    "BaseModel",
    "BaseReading",
    "BlindVote",
    "Engine",
    "EngineErasure",
    "EngineSample",
    "Erasure",
    "Evaluation",
    "EvaluationFailure",
    "EvaluationNote",
    "EvaluationStatus",
    "Favourite",
    "LoadNote",
    "Placement",
    "PriceChange",
    "Probe",
    "ProbeFault",
    "Release",
    "Selection",
    "Share",
    "ShareRefusal",
    "Status",
    "Style",
    "UploadNote",
    "VersionStep",
]
