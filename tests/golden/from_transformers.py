"""Goldens of transformers: tiny random checkpoints of every kind that `tercet convert` reads, and what they compute.

    python3 -m venv v && v/bin/pip install torch==2.15.0 transformers==5.23.0 accelerate
    v/bin/python tests/golden/from_transformers.py

Writes tests/data/golden/transformers.json. The checkpoints are not kept: their numbers come from formulas that the test
(tests/convert/checkpoint.rs) computes as well, so the golden holds only shapes, seeds and results.

BitNet checkpoints run through transformers' own integration; where it knows nothing (plain Llama and Qwen3, groups), the
numeric contract's quantizers stand around every linear. Keys and values are rounded to fp16, as the KV cache holds them.
All in fp32, nothing compiled.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["TORCHDYNAMO_DISABLE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.integrations.bitnet import BitLinear

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/data/golden/transformers.json"
VOCABULARY, WIDTH, LAYERS, FFN = 320, 256, 2, 512
TOKENS = [7, 300, 12, 99, 250, 31, 31, 164, 5, 288, 77, 201]

torch.manual_seed(0)
torch.set_num_threads(1)

# ---- numbers from formulas ----


def mix(seed, n):
    """SplitMix64: n outputs from `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(t):
    shape, n = t["shape"], int(np.prod(t["shape"]))
    z = mix(t["seed"], n)
    if t["kind"] == "packed":
        v = z % np.uint64(81)
        fields = [(v // np.uint64(3**i)) % np.uint64(3) for i in range(4)]
        return torch.from_numpy(sum(f << np.uint64(2 * i) for i, f in enumerate(fields)).astype(np.uint8).reshape(shape))
    if t["kind"] == "uniform":
        unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
        x = np.float32(t["middle"]) + np.float32(t["spread"]) * (np.float32(2) * unit - np.float32(1))
    elif t["kind"] == "grouped":
        groups = mix(t["seed"] + 1, n // t["group"]) % np.uint64(4)
        scale = np.float32(t["spread"]) * (np.float32(1) + groups.astype(np.float32) / np.float32(8))
        x = ((z % np.uint64(3)).astype(np.float32) - np.float32(1)) * np.repeat(scale, t["group"])
    else:
        x = np.full(n, t["middle"], dtype=np.float32)
    dtype = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}[t["dtype"]]
    return torch.from_numpy(x.reshape(shape)).to(dtype)


# ---- checkpoints ----


def tensors(case, seed):
    heads, kv, hd = case["heads"], case["kv_heads"], case["head_dim"]
    out, width = [], case.get("width", WIDTH)

    def add(name, shape, dtype, kind, **more):
        out.append({"name": name, "shape": shape, "dtype": dtype, "kind": kind, "seed": seed + 1000 * len(out), **more})

    def linear(name, rows, cols):
        kind = case["linears"]
        if kind == "packed":
            add(f"{name}.weight", [rows // 4, cols], "U8", "packed")
            add(f"{name}.weight_scale", [1], "F32", "uniform", middle=case["scale"], spread=case["scale"] / 4)
        elif kind == "grouped":
            add(f"{name}.weight", [rows, cols], "F16", "grouped", spread=2.0**-4, group=128)
        else:
            add(f"{name}.weight", [rows, cols], kind, "uniform", middle=0.0, spread=0.125)

    def norm(name, n):
        add(name, [n], "F32", "uniform", middle=1.0, spread=0.25)

    def table(name):
        if case["linears"] == "grouped":
            add(name, [VOCABULARY, width], "F16", "grouped", spread=2.0**-2, group=128)
        else:
            add(name, [VOCABULARY, width], "F16", "uniform", middle=0.0, spread=0.5)

    table("model.embed_tokens.weight")
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        norm(p + "input_layernorm.weight", width)
        linear(p + "self_attn.q_proj", heads * hd, width)
        linear(p + "self_attn.k_proj", kv * hd, width)
        linear(p + "self_attn.v_proj", kv * hd, width)
        linear(p + "self_attn.o_proj", width, heads * hd)
        if case["model_type"] == "qwen3":
            norm(p + "self_attn.q_norm.weight", hd)
            norm(p + "self_attn.k_norm.weight", hd)
        norm(p + "post_attention_layernorm.weight", width)
        linear(p + "mlp.gate_proj", FFN, width)
        linear(p + "mlp.up_proj", FFN, width)
        linear(p + "mlp.down_proj", width, FFN)
    norm("model.norm.weight", width)
    if not case.get("tied"):
        table("lm_head.weight")
    return out


def config(case):
    c = {
        "architectures": [{"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}[case["model_type"]]],
        "model_type": case["model_type"],
        "hidden_size": case.get("width", WIDTH),
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": case["heads"],
        "num_key_value_heads": case["kv_heads"],
        "head_dim": case["head_dim"],
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "rope_theta": 10000.0,
        "tie_word_embeddings": bool(case.get("tied")),
        "attention_bias": False,
        "bos_token_id": 316,
        "eos_token_id": 317,
    }
    for key, name in (("rope", "rope_scaling"), ("quantization", "quantization_config")):
        if key in case:
            c[name] = case[key]
    return c


LLAMA = {"model_type": "llama", "heads": 4, "kv_heads": 2, "head_dim": 64}
QWEN3 = {"model_type": "qwen3", "heads": 4, "kv_heads": 2, "head_dim": 128}
BITNET = {"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"]}
CASES = {
    "bitlinear": LLAMA | {"linears": "packed", "scale": 13.0, "quantization": BITNET},
    "autobitlinear offline": LLAMA
    | {"linears": "packed", "scale": 0.07, "quantization": BITNET | {"linear_class": "autobitlinear", "quantization_mode": "offline"}},
    "autobitlinear online": LLAMA
    | {"linears": "BF16", "quantization": BITNET | {"linear_class": "autobitlinear", "quantization_mode": "online"}},
    "plain llama": LLAMA
    | {
        "linears": "F32",
        "tied": True,
        "rope": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "plain qwen3": QWEN3 | {"linears": "BF16"},
    "grouped qwen3": QWEN3
    | {"linears": "grouped", "rope": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
    # A width that is no multiple of 128 or 256, as SmolLM2's.
    "narrow bitlinear": {"model_type": "llama", "heads": 3, "kv_heads": 1, "head_dim": 64, "width": 192}
    | {"linears": "packed", "scale": 9.0, "tied": True, "quantization": BITNET},
}

# ---- the numeric contract around what transformers does not quantize ----


class Contract(nn.Module):
    """A linear as the contract says: int8 activations per token, ternary weights, one scale a tensor or a group."""

    def __init__(self, weight, group):
        super().__init__()
        weight = weight.float()
        if group:
            # −s, 0, s within a group: the codes and the scale are the weight.
            g = weight.reshape(weight.shape[0], -1, group)
            self.scale = g.abs().amax(-1)
            self.codes = torch.sign(g)
        else:
            self.scale = weight.abs().mean().clamp(min=1e-5)
            self.codes = (weight * (1.0 / self.scale)).round().clamp(-1, 1).reshape(weight.shape[0], 1, -1)

    def forward(self, x):
        absmax = x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        q = (x * (127 / absmax)).round().clamp(-128, 127)
        q = q.reshape(*q.shape[:-1], self.codes.shape[1], -1)
        dots = torch.einsum("...gc,rgc->...rg", q, self.codes)
        return (dots * self.scale).sum(-1) * (absmax / 127)


def put_contract(model, head, group):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and (head or name != "lm_head"):
            model.set_submodule(name, Contract(module.weight.data, group))


def with_fp16_cache(model_type):
    module = getattr(transformers.models, model_type)
    module = getattr(module, f"modeling_{model_type}")
    if not hasattr(module, "_plain_attention"):
        module._plain_attention = module.eager_attention_forward

        def rounded(this, query, key, value, *args, **kwargs):
            return module._plain_attention(this, query, key.half().float(), value.half().float(), *args, **kwargs)

        module.eager_attention_forward = rounded


# ---- results ----


def run(name, case, seed):
    described = {"name": name, "config": config(case), "tensors": tensors(case, seed), "tokens": TOKENS}
    with tempfile.TemporaryDirectory() as folder:
        save_file({t["name"]: values(t) for t in described["tensors"]}, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        (Path(folder) / "config.json").write_text(json.dumps(described["config"]))
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    for p in [*model.parameters(), *model.buffers()]:
        if p.is_floating_point():
            p.data = p.data.float()  # a quantized load leaves other tensors as they are stored
    model.eval()
    with_fp16_cache(case["model_type"])
    linear = {}
    if "quantization" not in case:
        put_contract(model, head=case["linears"] == "grouped", group=128 if case["linears"] == "grouped" else 0)
    else:
        first = model.model.layers[0].self_attn.q_proj
        x = torch.from_numpy((mix(seed + 5, case.get("width", WIDTH)) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24) - np.float32(0.5))
        if isinstance(first, BitLinear):
            assert first.dtype == torch.float32
            from transformers.integrations.bitnet import unpack_weights

            q, s = first.activation_quant(x)
            dots = unpack_weights(first.weight, torch.float32) @ q.float()
            assert (dots == dots.round()).all()
            linear = {
                "tensor": 2,
                "x_seed": seed + 5,
                "q": q.tolist(),
                "dots": dots.int().tolist(),
                "y": [float(v) for v in first(x[None])[0]],
            }
        assert any(type(m).__name__ in ("BitLinear", "AutoBitLinear") for m in model.modules()), "not quantized"
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0].float().numpy()
    print(f"{name}: logits {logits.std():.3f}, best {logits.argmax(1).tolist()}")
    described["logits"] = [[float(f"{v:.7g}") for v in row] for row in logits]
    if linear:
        described["linear"] = linear
    return described


def main():
    rows = [run(name, case, 1_000_000 * (i + 1)) for i, (name, case) in enumerate(CASES.items())]
    head = {
        "made_by": "tests/golden/from_transformers.py",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "note": "rows: a checkpoint as shapes and seeds, tokens, and the logits after each of them",
    }
    lines = ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows)
    OUT.write_text(json.dumps(head)[:-1] + ', "rows": [\n' + lines + "\n]}\n")
    print(f"{OUT.relative_to(ROOT)}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
