//! A tokenizer for models without one: bytes, pairs of letters, and the special tokens of the family.

use super::Family;
use crate::error::Result;
use crate::llm::gguf::{Draft, MetaValue};
use crate::llm::tokenizer::byte_token;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Special tokens of a family: how far from the end of the vocabulary they begin, and their names and kinds.
type Specials = (usize, &'static [(&'static str, i32)]);

const LLAMA3: &[(&str, i32)] = &[
    ("<|begin_of_text|>", CONTROL),
    ("<|end_of_text|>", CONTROL),
    ("<|reserved_special_token_0|>", CONTROL),
    ("<|reserved_special_token_1|>", CONTROL),
    ("<|finetune_right_pad_id|>", CONTROL),
    ("<|reserved_special_token_2|>", CONTROL),
    ("<|start_header_id|>", CONTROL),
    ("<|end_header_id|>", CONTROL),
    ("<|eom_id|>", CONTROL),
    ("<|eot_id|>", CONTROL),
    ("<|python_tag|>", CONTROL),
];

const FALCON3: &[(&str, i32)] =
    &[("<|endoftext|>", CONTROL), ("<|system|>", CONTROL), ("<|user|>", CONTROL), ("<|assistant|>", CONTROL)];

const QWEN3: &[(&str, i32)] = &[
    ("<|endoftext|>", CONTROL),
    ("<|im_start|>", CONTROL),
    ("<|im_end|>", CONTROL),
    ("<tool_call>", USER_DEFINED),
    ("</tool_call>", USER_DEFINED),
    ("<tool_response>", USER_DEFINED),
    ("</tool_response>", USER_DEFINED),
    ("<think>", USER_DEFINED),
    ("</think>", USER_DEFINED),
];

const LLAMA3_TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<|start_header_id|>\
{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}\
{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

const FALCON3_TEMPLATE: &str = "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>\n{{ m.content }}\
<|endoftext|>\n{% else %}<|{{ 'user' if m.role == 'tool' else m.role }}|>\n{{ m.content }}\n{% endif %}{% endfor %}\
{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

const QWEN3_TEMPLATE: &str = "{% if tools %}<|im_start|>system\n{{ messages[0].content }}\n\nTools, one a line:\n\
{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}A call is a JSON object with name and arguments between \
<tool_call> and </tool_call>.<|im_end|>\n{% endif %}\
{% for m in messages %}{% if not (tools and loop.first) %}<|im_start|>{{ 'user' if m.role == 'tool' else m.role }}\n\
{% if m.role == 'tool' %}<tool_response>\n{{ m.content }}\n</tool_response>{% else %}{{ m.content }}{% endif %}\
{% for call in m.tool_calls or [] %}<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}\
<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n\
{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}";

/// Adds the tokenizer of `vocabulary` tokens, and the chat template.
pub(super) fn describe(family: Family, vocabulary: usize, d: &mut Draft) -> Result<()> {
    let ((from_end, specials), pre, template): (Specials, _, _) = match family {
        // Where the real vocabularies have them.
        Family::Llama3 => ((256, LLAMA3), "llama-bpe", LLAMA3_TEMPLATE),
        Family::Falcon3 => ((256, FALCON3), "falcon3", FALCON3_TEMPLATE),
        Family::Bonsai => ((293, QWEN3), "qwen2", QWEN3_TEMPLATE),
    };
    let first_special = vocabulary - if vocabulary > 4096 { from_end } else { 16 };
    let mut tokens: Vec<String> = (0..=255u8).map(|b| byte_token(b).to_string()).collect();
    let mut merges = Vec::new();
    let letters = || (b'a'..=b'z').map(char::from);
    for left in std::iter::once(byte_token(b' ')).chain(letters()) {
        for right in letters() {
            merges.push(format!("{left} {right}"));
            tokens.push(format!("{left}{right}"));
        }
    }
    let mut kinds = vec![NORMAL; tokens.len()];
    for id in tokens.len()..vocabulary {
        match id.checked_sub(first_special).and_then(|i| specials.get(i)) {
            Some((name, kind)) => {
                tokens.push((*name).to_owned());
                kinds.push(*kind);
            }
            None => {
                tokens.push(format!("<unused{id}>"));
                kinds.push(UNUSED);
            }
        }
    }
    let id = |name: &str| first_special + specials.iter().position(|(n, _)| *n == name).unwrap_or(0);
    d.text("tokenizer.ggml.model", "gpt2");
    d.text("tokenizer.ggml.pre", pre);
    d.put("tokenizer.ggml.tokens", MetaValue::Strings(tokens));
    d.put("tokenizer.ggml.token_type", MetaValue::I32s(kinds));
    d.put("tokenizer.ggml.merges", MetaValue::Strings(merges));
    match family {
        Family::Llama3 => {
            d.uint("tokenizer.ggml.bos_token_id", id("<|begin_of_text|>"))?;
            d.uint("tokenizer.ggml.eos_token_id", id("<|eot_id|>"))?;
        }
        Family::Falcon3 => d.uint("tokenizer.ggml.eos_token_id", id("<|endoftext|>"))?,
        Family::Bonsai => d.uint("tokenizer.ggml.eos_token_id", id("<|im_end|>"))?,
    }
    d.put("tokenizer.ggml.add_bos_token", MetaValue::Bool(family == Family::Llama3));
    d.text("tokenizer.chat_template", template);
    Ok(())
}
