from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReadDocument:
    name: str = ""
    format: str = ""
    text: str = ""
    words: int = 0
    language: str = ""
    removed: dict = field(default_factory=dict)
    quotation_share: float = 0.0
    refusal: object = None


def read_document(name: str, content: bytes) -> list[ReadDocument]:
    text = content.decode()
    return [ReadDocument(name, "txt", text, len(text.split()), "en")]
