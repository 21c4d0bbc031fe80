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
from adapters.models.styles import (
    SLUG_CHARACTERS,
    TAG_CHARACTERS,
    WORDS_CHARACTERS,
    Favourite,
    PriceChange,
    Release,
    Selection,
    Share,
    Style,
)
from adapters.models.versions import MAX_NUMBER, AdapterVersion, EngineErasure, Erasure, Status, VersionStep
