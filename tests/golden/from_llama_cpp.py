"""Golden outputs of llama.cpp on the default model: tokens, teacher-forced logits, greedy replies.

Run from the repository's root, in an environment that has `llama-cpp-python` (0.3.36 made the files here):

    python3 tests/golden/from_llama_cpp.py

Writes tests/data/golden/{tokens,logits,greedy}.json.
"""

import ctypes
import json
import random
from pathlib import Path

import llama_cpp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/pocket.gguf"
OUT = ROOT / "tests/data/golden"
TOP = 3
CONTEXT = 2048
GREEDY_TOKENS = 48

llama_cpp.llama_backend_init()
quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))

mp = llama_cpp.llama_model_default_params()
model = llama_cpp.llama_model_load_from_file(str(MODEL).encode(), mp)
vocab = llama_cpp.llama_model_get_vocab(model)
size = llama_cpp.llama_vocab_n_tokens(vocab)


def tokenize(text, parse_special=False):
    raw = text.encode()
    out = (llama_cpp.llama_token * (len(raw) + 8))()
    n = llama_cpp.llama_tokenize(vocab, raw, len(raw), out, len(out), False, parse_special)
    assert n >= 0
    return list(out[:n])


class Context:
    """One sequence: feeds tokens, gives the logits after each."""

    def __init__(self):
        cp = llama_cpp.llama_context_default_params()
        cp.n_ctx = CONTEXT
        cp.n_batch = cp.n_ubatch = CONTEXT
        cp.n_threads = cp.n_threads_batch = 1  # slower, and never slow because another program takes a core
        self.ctx = llama_cpp.llama_init_from_model(model, cp)
        self.position = 0

    def feed(self, tokens, all_logits=False):
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, t in enumerate(tokens):
            batch.token[i] = t
            batch.pos[i] = self.position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = all_logits or i == len(tokens) - 1
        assert llama_cpp.llama_decode(self.ctx, batch) == 0
        self.position += len(tokens)
        rows = range(len(tokens)) if all_logits else [len(tokens) - 1]
        logits = [np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.ctx, i), (size,)).copy() for i in rows]
        llama_cpp.llama_batch_free(batch)
        return np.stack(logits)

    def close(self):
        llama_cpp.llama_free(self.ctx)


def dump(name, rows, note):
    head = {"made_by": "tests/golden/from_llama_cpp.py", "llama_cpp_python": llama_cpp.__version__, "note": note}
    lines = ",\n".join(json.dumps(r, ensure_ascii=True, separators=(",", ":")) for r in rows)
    (OUT / name).write_text(json.dumps(head)[:-1] + ', "rows": [\n' + lines + "\n]}\n")
    print(f"{name}: {len(rows)} rows, {(OUT / name).stat().st_size} bytes")


# --- tokens ---------------------------------------------------------------------------------------------------------

TEXTS = [
    "", " ", "a", "Hello, world!", "The quick brown fox jumps over the lazy dog.", "  leading", "trailing  ",
    "it's we're I'VE They'LL o'clock 'tis rock'n'roll 'S 'T", "1", "12", "123", "1234", "12345678901", "3.14159, 1e-5; 7/8",
    "\n", "\n\n", "\r\n", " \n", "\n ", "\n\n\n  x", "a\n\nb", "a \n \n b", "tab\tand\t\ttabs", "   x   y    z",
    "x\u00a0y\u2003z\u3000w", "naïve café Ångström", "Привет, мир", "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया",
    "こんにちは世界", "你好,世界", "안녕하세요 세계", "ไทยภาษา", "👋", "👩‍👩‍👧‍👦 family 🇩🇪🇫🇷 flags 👍🏽", "e\u0301 vs é", "Zażółć gęślą jaźń",
    "½ ² Ⅷ ٣ ४ 一二三", "fn main() {\n    println!(\"{}\", x[0] + 1);\n}\n", "def f(x):\n\treturn x**2  # square\n",
    '{"name": "set_timer", "parameters": {"duration": "10 minutes"}}', "set_light(room: string, on: bool, brightness?: int)",
    "https://example.org/a_b?c=d&e=%20#f", "user@example.com", "C:\\Temp\\file.txt", "$12.50 €3 £4 ¥5 50%", "--- *** ### ///",
    "?!?!...", "!!!\n", "...\n\n...", "«quoted» “double” ‘single’ — dash – en…", "\u200b\u200d\ufeff", "\x00\x01\x7f", "A" * 100,
    "supercalifragilisticexpialidocious antidisestablishmentarianism", "MixedCase camelCase snake_case SCREAMING_CASE kebab-case",
    "<|eot_id|>", "a<|eot_id|>b", "<|start_header_id|>system<|end_header_id|>\n\nx<|eot_id|>", "<|begin_of_text|><|begin_of_text|>",
    "<|eot_id", "|>", "<|", "<|not_special|>", " <|eot_id|> ", "<|eot_id|>\n\n<|eot_id|>",
]


def random_texts(count):
    rng = random.Random(20)
    pools = [
        "abcdefghijklmnopqrstuvwxyz     ", "ABCdef 0123456789.,;:!?'\"-()[]{}<>|/\\@#$%^&*_+=~`", " \t\n\r",
        "äöüßéèêçñøåłžšđ", "абвгдежзи", "αβγδεζ", "漢字仮名交", "😀🎉🚀❤️", "\u0301\u0308\u00a0\u2009\u200b",
    ]
    for _ in range(count):
        yield "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 40)))


texts = TEXTS + list(random_texts(200))
prose = (ROOT / "tests/golden/prose.txt").read_text()
texts += [p for p in prose.split("\n\n")]
rows = []
for t in texts:
    as_text, parsed = tokenize(t), tokenize(t, True)
    rows.append([t, as_text] + ([parsed] if parsed != as_text else []))
dump("tokens.json", rows, "rows: text, tokens with the names of special tokens as text, tokens with them parsed where they differ")

# --- teacher-forced logits ------------------------------------------------------------------------------------------

HEADER = "<|start_header_id|>assistant<|end_header_id|>\n\n"
bos = llama_cpp.llama_vocab_bos(vocab)
evals = [json.loads(l) for l in (ROOT / "tests/data/tools_eval.jsonl").read_text().splitlines()]


def turn(m):
    role = "ipython" if m["role"] == "tool" else m["role"]
    return tokenize(f"<|start_header_id|>{role}<|end_header_id|>\n\n{m['content'].strip()}<|eot_id|>", True)


def chat(messages):
    return [bos] + sum((turn(m) for m in messages), [])


def conversation(messages):
    """Its tokens, and the positions from which a token of an assistant's turn (its end included) is predicted."""
    tokens, at = [bos], []
    for m in messages:
        start, t = len(tokens), turn(m)
        tokens += t
        if m["role"] == "assistant":
            at += range(start + len(tokenize(HEADER, True)) - 1, len(tokens) - 1)
    return tokens, at


def forced(tokens, at):
    """llama.cpp twice: the text at once, and token by token. How far the two agree is how exact the measure can be."""
    c = Context()
    logits = c.feed(tokens, all_logits=True)[at]
    c.close()
    c = Context()
    if at[0] > 0:
        c.feed(tokens[: at[0]])
    again = np.concatenate([c.feed([t]) for t in tokens[at[0] :]])[[i - at[0] for i in at]].argmax(axis=1)
    c.close()
    top = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    values = np.take_along_axis(logits, top, axis=1)
    flat = [round(float(v), 2) for v in values.ravel()]
    return {"tokens": tokens, "at": at, "top": top.ravel().tolist(), "logits": flat, "again": again.tolist()}


prose_tokens = [bos] + tokenize(prose)[: CONTEXT - 1]
rows = [{"text": "prose"} | forced(prose_tokens, list(range(len(prose_tokens))))]
talks = [e["messages"] for e in evals if e["kind"] == "multi_command"]
positions = 0
for messages in talks[::3] + talks[1::3]:
    if positions >= 2000:
        break
    rows.append({"text": "conversation"} | forced(*conversation(messages)))
    positions += len(rows[-1]["at"])
for kind in ("prose", "conversation"):
    of = [r for r in rows if r["text"] == kind]
    n = sum(len(r["at"]) for r in of)
    same = sum(sum(a == b for a, b in zip(r["top"][::TOP], r["again"])) for r in of)
    print(f"{kind}: {n} positions, llama.cpp agrees with itself at {100 * same / n:.2f} %")
note = f"""rows: the kind of text; its tokens; the positions compared; for each of them the {TOP} best next tokens and their logits \
when the text is computed at once (flat), and the best one when it is computed token by token"""
dump("logits.json", rows, note)

# --- greedy replies -------------------------------------------------------------------------------------------------

PERSONA = "You are a friendly voice assistant. Reply briefly, as if speaking aloud."
TOOLS = """Tools:
set_light(room: string, on: bool, brightness?: int, color?: string)
set_timer(duration: string, label?: string)
get_time(location?: string)
set_volume(level: int)
play_music(query: string, room?: string)"""
QUESTIONS = [
    "What is the capital of France?", "Who are you?", "How many days are in a week?", "Tell me a joke.", "What is seven times eight?",
    "Turn on the kitchen light.", "Set a timer for ten minutes for the pasta.", "What time is it in London?", "Set the volume to 30.",
    "Play some jazz in the living room.", "Why is the sky blue?", "Thank you.",
]
rows = []
for q in QUESTIONS:
    messages = [{"role": "system", "content": f"{PERSONA}\n{TOOLS}"}, {"role": "user", "content": q}]
    prompt = chat(messages) + tokenize(HEADER, True)
    c = Context()
    logits = c.feed(prompt)[0]
    reply, runner_up = [], []
    while len(reply) < GREEDY_TOKENS:
        order = np.argsort(-logits, kind="stable")[:TOP]
        t = int(order[0])
        reply.append(t)
        runner_up.append([[int(o), round(float(logits[o]), 3)] for o in order])
        if llama_cpp.llama_vocab_is_eog(vocab, t):
            break
        logits = c.feed([t])[0]
    c.close()
    rows.append({"messages": messages, "prompt": prompt, "reply": reply, "best": runner_up})
    text = b""
    for t in reply:
        buf = ctypes.create_string_buffer(64)
        n = llama_cpp.llama_token_to_piece(vocab, t, buf, 64, 0, False)
        text += buf.raw[:n]
    print(f"  {q} -> {text.decode()}")
dump("greedy.json", rows, f"rows: a conversation, its prompt, the greedy reply, and at each of its tokens the {TOP} best with their logits")
