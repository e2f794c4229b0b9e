"""Chunks and weights of long prompts, cut by A1111's own code.

python gen_prompt_chunks.py <golden folder>, with WEBUI = a checkout of AUTOMATIC1111/stable-diffusion-webui 1.10 and
TOKENIZER = a folder with CLIP's vocab.json and merges.txt. Only tokenize_line and parse_prompt_attention are run; what
else the modules import is replaced by stand-ins."""
import json
import os
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

from transformers import CLIPTokenizer

sys.path.insert(0, os.environ["WEBUI"])
OPTIONS = SimpleNamespace(emphasis="Original", comma_padding_backtrack=20)
for name in ("lark", "modules.devices", "modules.sd_hijack", "modules.sd_emphasis"):
    sys.modules[name] = MagicMock()
sys.modules["modules.shared"] = SimpleNamespace(opts=OPTIONS)
from modules.sd_hijack_clip import FrozenCLIPEmbedderWithCustomWordsBase  # noqa: E402

WORDS = "red blue golden ancient tiny huge cat dog girl boy forest castle sky sea dress hat smiling running oil painting".split()
END = 49407


def words(count):
    return " ".join(WORDS[index % len(WORDS)] for index in range(count))


PROMPTS = [
    "",
    "BREAK",
    "a cat BREAK a dog",
    "a cat BREAK",
    "BREAK BREAK a cat",
    "(a cat:1.3) BREAK [a dog], (unclosed",
    words(75),
    words(76),
    f"{words(74)}, {words(3)}",
    f"{words(75)}, {words(3)}",
    f"{words(54)}, {words(30)}",
    f"{words(55)}, {words(30)}",
    f"{words(56)}, {words(30)}",
    f"{words(60)}, ({words(10)}, {words(4)}:1.2) {words(10)}",
    f"{words(40)},{words(33)},{words(40)},{words(33)}, {words(20)}",
    f"{words(70)}, {words(2)} BREAK {words(80)}, {words(1)}",
    ", ".join(f"(tag{index}:{1 + index / 50:.2f})" for index in range(40)),
    f"{'word, ' * 60}",
    f"({words(100)}:0.8)",
    "水墨画，山水, " * 12,
]


class Embedder(FrozenCLIPEmbedderWithCustomWordsBase):
    def __init__(self, tokenizer):
        hijack = MagicMock()
        hijack.embedding_db.find_embedding_at_position.return_value = (None, None)
        super().__init__(None, hijack)
        self.tokenizer = tokenizer
        self.comma_token = tokenizer.get_vocab()[",</w>"]
        self.id_start, self.id_end = tokenizer.bos_token_id, tokenizer.eos_token_id

    def tokenize(self, texts):
        return self.tokenizer(texts, truncation=False, add_special_tokens=False).input_ids


def without_end(ids):
    while ids and ids[-1] == END:
        ids = ids[:-1]
    return ids


def main():
    embedder = Embedder(CLIPTokenizer.from_pretrained(os.environ["TOKENIZER"]))
    rows = []
    for prompt in PROMPTS:
        chunks, _ = embedder.tokenize_line(prompt)
        rows.append({
            "text": prompt,
            "ids": [without_end(chunk.tokens) for chunk in chunks],
            "weights": [chunk.multipliers[: len(without_end(chunk.tokens))] for chunk in chunks],
        })
    note = "A1111's chunks with comma_padding_backtrack 20; ids stripped of trailing 49407, weights to the same length"
    with open(os.path.join(sys.argv[1], "prompt_chunks_golden.json"), "w", encoding="utf-8") as file:
        json.dump({"note": note, "rows": rows}, file, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
