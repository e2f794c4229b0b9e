"""Records what kohya's sd-scripts make of captions, where nothing is left to chance.

    python generate.py SD_SCRIPTS > captions.json

SD_SCRIPTS is a checkout of kohya-ss/sd-scripts (made with commit 48d368fa). `BaseDataset.process_caption` is taken out of
its source and run, so that neither torch nor the rest of it is needed. Random choices are left out, or made certain:
shuffling is off, dropout 0 or 1, wildcards have one alternative.
"""
import ast, itertools, json, math, random, re, sys, textwrap
from pathlib import Path
from types import SimpleNamespace

path = Path(sys.argv[1]) / "library/train_util.py"
text = path.read_text(encoding="utf-8")
base = next(node for node in ast.parse(text).body if getattr(node, "name", None) == "BaseDataset")
method = next(node for node in base.body if getattr(node, "name", None) == "process_caption")
names = {"math": math, "random": random, "re": re, "BaseSubset": object}
exec(textwrap.dedent(ast.get_source_segment(text, method, padded=True)), names)

USUAL = dict(
    caption_prefix=None, caption_suffix=None, caption_dropout_rate=0.0, caption_dropout_every_n_epochs=0,
    enable_wildcard=False, shuffle_caption=False, token_warmup_step=0, token_warmup_min=1, caption_tag_dropout_rate=0.0,
    keep_tokens=0, keep_tokens_separator=None, secondary_separator=None, caption_separator=",",
)
CAPTIONS = [
    "sks dog, grass, sky, red collar", "one", "a photo of a dog on grass", "sks dog, 1girl ||| a, b, c ||| best quality",
    "sks dog ||| a, b", "sky;;;cloud;;;day, 1girl;;;solo, smile", "{{literal}} and {only}", "狗, 草地, 蓝天",
    "a.b.c", "{{{a}}} {x{{y} {}", "first line\nsecond line",
]
SETTINGS = [
    {}, dict(caption_prefix="photo of"), dict(caption_suffix="best quality"),
    dict(caption_prefix="anime", caption_suffix="high resolution"), dict(caption_dropout_rate=1.0),
    dict(caption_dropout_every_n_epochs=2), dict(caption_dropout_every_n_epochs=3), dict(secondary_separator=";;;"),
    dict(caption_separator="."), dict(enable_wildcard=True),
    dict(keep_tokens_separator="|||", caption_tag_dropout_rate=1.0), dict(keep_tokens=1, caption_tag_dropout_rate=1.0),
    dict(keep_tokens=2, caption_tag_dropout_rate=1.0), dict(keep_tokens=9, caption_tag_dropout_rate=1.0),
    dict(keep_tokens=1, token_warmup_step=10), dict(token_warmup_step=0.5, token_warmup_min=2),
    dict(token_warmup_step=20, keep_tokens_separator="|||", secondary_separator=";;;"),
    dict(token_warmup_step=8, caption_separator="."),
]
cases = []
for caption, settings, step in itertools.product(CAPTIONS, SETTINGS, [0, 1, 4, 7, 9, 10, 19, 100]):
    if step not in (0, 4) and "token_warmup_step" not in settings:
        continue
    if "\n" in caption and (settings.get("enable_wildcard") or "caption_suffix" in settings):
        continue
    subset = SimpleNamespace(**{**USUAL, **settings})
    dataset = SimpleNamespace(current_epoch=2, current_step=step, max_train_steps=20, replacements={})
    rendered = names["process_caption"](dataset, subset, caption)
    cases.append({"caption": caption, "settings": settings, "step": step, "rendered": rendered})
json.dump(cases, sys.stdout, ensure_ascii=False, separators=(",", ":"))
