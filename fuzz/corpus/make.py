"""Seeds of the fuzz corpus: small sound files, and files that lie in one place each.

    python3 fuzz/corpus/make.py
"""

import json
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def put(target, name, data):
    (HERE / target / name).write_bytes(data if isinstance(data, bytes) else data.encode())


# ---- GGUF ----


def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if v and isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))
    return struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)


BLOCK = {0: (1, 4), 2: (32, 18), 34: (256, 54), 35: (256, 66), 42: (64, 18)}


def gguf(meta, tensors, version=3):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(meta))
    head += b"".join(text(k) + value(v) for k, v in meta.items())
    data = b""
    for name, dims, ty in tensors:
        n = 1
        for d in dims:
            n *= d
        weights, size = BLOCK[ty]
        head += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", ty, len(data))
        block = (struct.pack("<f", 1.0) if ty == 0 else bytes(i % 3 for i in range(size - 2)) + b"\0\x3c")
        data += block * (n // weights)
        data += b"\0" * (-len(data) % 32)
    return head + b"\0" * (-len(head) % 32) + data


def letters():
    others = iter(range(0x100, 0x200))
    return [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b else chr(next(others)) for b in range(256)]


WORDS = letters() + ["Ġa", "th", "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "llama-bpe",
    "tokenizer.ggml.tokens": WORDS,
    "tokenizer.ggml.token_type": [1] * 258 + [3] * 4,
    "tokenizer.ggml.merges": ["Ġ a", "t h"],
    "tokenizer.ggml.bos_token_id": 258,
    "tokenizer.ggml.eos_token_id": 259,
    "tokenizer.chat_template": "{{ bos_token }}{% for m in messages %}{{ m.role }}{{ m.content }}<|eot_id|>{% endfor %}",
}


def shape(arch, **more):
    keys = {
        "block_count": 1, "context_length": 64, "embedding_length": 256, "feed_forward_length": 256,
        "attention.head_count": 4, "attention.head_count_kv": 2, "attention.layer_norm_rms_epsilon": 1e-5,
    }  # fmt: skip
    return {"general.architecture": arch} | {f"{arch}.{k}": v for k, v in (keys | more).items()}


def whole(arch):
    """A model of one layer that loads: width 64, heads of 16, Q2_0."""
    narrow = {"embedding_length": 64, "feed_forward_length": 64}
    linears = [("attn_q", 64), ("attn_k", 32), ("attn_v", 32), ("attn_output", 64), ("ffn_gate", 64), ("ffn_up", 64), ("ffn_down", 64)]
    norms = [("attn_norm", 64), ("ffn_norm", 64)] + ([("attn_q_norm", 16), ("attn_k_norm", 16)] if arch == "qwen3" else [])
    tensors = [("token_embd.weight", [64, len(WORDS)], 2), ("output_norm.weight", [64], 0)]
    tensors += [(f"blk.0.{n}.weight", [64, rows], 42) for n, rows in linears]
    tensors += [(f"blk.0.{n}.weight", [n_norm], 0) for n, n_norm in norms]
    return gguf(shape(arch, **narrow) | TOKENIZER, tensors)


put("gguf", "whole-llama.gguf", whole("llama"))
put("gguf", "whole-qwen3.gguf", whole("qwen3"))
put("gguf", "empty-model.gguf", gguf({}, []))
put("gguf", "metadata-only.gguf", gguf(shape("llama") | TOKENIZER, []))
put("gguf", "version-2.gguf", gguf(shape("llama"), [("t", [32, 2], 2)], version=2))
put("gguf", "types.gguf", gguf({}, [(f"t{ty}", [256, 1], ty) for ty in (0, 2, 34, 35, 42)]))
put("gguf", "yarn.gguf", gguf(shape("qwen3", **{"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}), [("token_embd.weight", [256, 1], 34)]))
put("gguf", "deep-arrays.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 500)
put("gguf", "many-strings.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 1 << 60))
put("gguf", "many-tensors.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0) + b"\0" * 64)
put("gguf", "absurd-shape.gguf", gguf(shape("llama", **{"attention.head_count": 0xFFFFFFFF}), [("token_embd.weight", [256, 1], 34)]))
put("gguf", "zero-vocabulary.gguf", gguf(shape("llama") | {"tokenizer.ggml.tokens": [""]}, [("token_embd.weight", [256, 1], 2)]))
put("gguf", "bad-merges.gguf", gguf(shape("llama") | TOKENIZER | {"tokenizer.ggml.merges": ["a", "Ġ zz", " "]}, []))
put("gguf", "endless-template.gguf", gguf(shape("llama") | TOKENIZER | {"tokenizer.chat_template": "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"}, []))

# ---- safetensors ----


def header(entries, size=1 << 20):
    return struct.pack("<I", size) + json.dumps(entries).encode()


def tensor(dtype="F32", shape=(2, 4), offsets=(0, 32)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


put("safetensors", "sound", header({"__metadata__": {"format": "pt"}, "a": tensor(), "b": tensor("BF16", (4, 4), (32, 64))}))
put("safetensors", "packed", header({"w.weight": tensor("U8", (64, 4), (0, 256)), "w.weight_scale": tensor("F32", (1,), (256, 260))}))
put("safetensors", "overflowing-shape", header({"a": tensor(shape=(1 << 40, 1 << 40), offsets=(0, 0))}))
put("safetensors", "backwards", header({"a": tensor(offsets=(32, 0))}))
put("safetensors", "behind-the-end", header({"a": tensor(offsets=(1 << 30, (1 << 30) + 32))}))
put("safetensors", "negative", header({"a": tensor(shape=(-1, 4), offsets=(-32, 0))}))
put("safetensors", "unknown-type", header({"a": tensor("F4_X", (3,), (0, 7))}))
put("safetensors", "nested", struct.pack("<I", 1 << 20) + b"[" * 5000)

# ---- tokenizer.json ----

SPLIT = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "use_regex": False}


def tokenizer(**more):
    whole = {
        "added_tokens": [{"id": 300 + i, "content": n, "special": i < 2} for i, n in enumerate(("<|eot_id|>", "<|x|>", "<tool_call>"))],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTES]},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|x|>", "type_id": 0}}], "special_tokens": {"<|x|>": {"ids": [301]}}},
        "model": {"type": "BPE", "vocab": {w: i for i, w in enumerate(WORDS[:258])}, "merges": [["Ġ", "a"], "t h"]},
    }
    return json.dumps(whole | more)


put("tokenizer", "sound.json", tokenizer())
put("tokenizer", "no-merges.json", tokenizer(model={"type": "BPE", "vocab": {w: i for i, w in enumerate(WORDS[:256])}, "merges": []}))
put("tokenizer", "merges-of-nothing.json", tokenizer(model={"type": "BPE", "vocab": {w: i for i, w in enumerate(WORDS[:256])}, "merges": [["a", "b"], [1, 2]]}))
put("tokenizer", "unigram.json", tokenizer(model={"type": "Unigram", "vocab": [["a", 0.0]]}))
put("tokenizer", "ids-outside.json", tokenizer(model={"type": "BPE", "vocab": {"a": 1 << 40, "b": -1}, "merges": []}))
put("tokenizer", "nameless.json", tokenizer(added_tokens=[{"id": 3}, {"content": "", "id": 4}]))
put("tokenizer", "other-pattern.json", tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a*)*b"}}))

# ---- templates ----

put("template", "llama3", "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}")
put("template", "chatml", "{% if tools %}{% for t in tools %}{{ t | tojson }}{% endfor %}{% endif %}{% for m in messages[::-1] %}{% if m.tool_calls %}<tool_call>{{ m.tool_calls[0].function.arguments | tojson(indent=2) }}</tool_call>{% else %}{{ m.content.split('</think>')[-1].strip('\\n') }}{% endif %}{% endfor %}")
put("template", "doubling", "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}")
put("template", "doubled-lists", "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | join }}")
put("template", "chained-lists", "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x | chain(ns.x) %}{% endfor %}{{ ns.x | length }}")
put("template", "repeated", "{{ 'a' * 99999999 }}{{ 'a' | indent(99999999) }}{{ [0] * 99999999 }}")
put("template", "endless", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
put("template", "recursive", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}")
put("template", "raises", "{{ raise_exception('no') }}{{ strftime_now('%Y %q %') }}")
put("template", "methods", "{{ 'a b'.split() }}{{ ''.split('') }}{{ {'a': 1}.items() }}{{ {'a': 1}.get('b') }}{{ 'x'.nothing() }}")
put("template", "replaced", "{% set x = 'a' * 9999 %}{{ x | replace('a', x) }}")
put("template", "deep", "{{ " + "(" * 500 + "1" + ")" * 500 + " }}")
