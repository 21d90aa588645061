//! A conversation as the tokens its model was trained to see.
//!
//! The model file brings its own template. It is rendered in a sandbox (no files, bounded work, bounded output) and then
//! cut into tokens in such a way that only the template can produce special tokens: what people, tools and the model
//! itself said is always plain text, even if it spells `<|eot_id|>`.

use std::io::Write;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};

use super::gguf::Gguf;
use super::reply::{CallStyle, OPEN_TAG, Reply, parse_reply, words};
use super::tokenizer::{Specials, Tokenizer};
use crate::error::{Error, Kind, Result};
use crate::schema::{Message, Role};
use crate::units::TokenId;

mod display;
mod json;
mod methods;
mod native;
mod python;
mod source;
#[cfg(test)]
mod tests;
mod trial;

/// Llama 3's format, for files of that family that bring no template.
const LLAMA3: &str = "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}\
<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}\
{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

/// Template steps allowed for any conversation, per message, and per byte of content: about ten times what Llama 3.1's
/// template, the longest of the families read here, takes.
const FUEL_BASE: u64 = 20_000;
const FUEL_PER_MESSAGE: u64 = 2_000;
const FUEL_PER_BYTE: u64 = 1;

/// Bytes a template may write beyond four times the conversation's own: headers, dates, standing instructions.
const OUTPUT_BASE: usize = 64 * 1024;

/// A model's chat template, compiled.
pub struct Chat {
    env: Environment<'static>,
    /// What the template calls the author of a tool's result.
    tool_role: &'static str,
    /// Whether calls and tools go to the template apart from the text.
    native_calls: bool,
    call_style: CallStyle,
    bos: String,
    eos: String,
}

/// How the tokens a session holds become those of a conversation: cut to the first `keep`, then append the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub keep: usize,
    pub append: Vec<TokenId>,
}

impl Chat {
    /// Compiles the template of a model file (`tokenizer.chat_template`).
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if the template does not compile, or if there is none and the vocabulary is not Llama 3's.
    pub fn new(template: Option<&str>, tokenizer: &Tokenizer) -> Result<Self> {
        // An empty template writes nothing: treated as none.
        let source = match template.filter(|t| !t.trim().is_empty()) {
            Some(t) => t,
            None if tokenizer.special("<|start_header_id|>").is_some() => LLAMA3,
            None => {
                return Err(Error::new(Kind::Unsupported, "the model file has no chat template")
                    .remedy("use a model file made from an instruction-tuned checkpoint"));
            }
        };
        let mut env = Environment::new();
        // As Hugging Face renders templates.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(refused)?;
        let prepared = source::prepare(source, syntax.clone()).map_err(refused)?;
        env.set_syntax(syntax);
        env.set_recursion_limit(50);
        python::teach(&mut env);
        env.add_template_owned("chat", prepared).map_err(refused)?;
        let knows_tool = source.contains("'tool'") || source.contains("\"tool\"");
        let text = |t: Option<TokenId>| {
            t.map(|t| String::from_utf8_lossy(tokenizer.bytes_of(t)).into_owned()).unwrap_or_default()
        };
        Ok(Self {
            env,
            native_calls: source.contains(OPEN_TAG) && source.contains("tool_calls"),
            tool_role: if knows_tool { "tool" } else { "ipython" },
            call_style: if source.contains(OPEN_TAG) { CallStyle::Tagged } else { CallStyle::Bare },
            bos: text(tokenizer.bos()),
            eos: text(tokenizer.eos()),
        })
    }

    /// The chat format of an opened model file.
    ///
    /// # Errors
    /// As [`Chat::new`]; [`Kind::Corrupt`] if the metadata's template is not text.
    pub fn from_gguf(file: &Gguf, tokenizer: &Tokenizer) -> Result<Self> {
        Self::new(template_of(file)?, tokenizer)
    }

    /// Tokens of a conversation. With `add_generation_prompt` they end where the assistant begins to write.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if the template refuses the conversation or does not end within its bounds.
    pub fn render(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Vec<TokenId>> {
        let guard = guard_for(messages)?;
        let bytes: usize = messages.iter().map(|m| m.content.len()).sum();
        let guard_text = |text: &str| guarded(tokenizer, text, guard);
        let mut tools = Vec::new();
        let mut turns = Vec::with_capacity(messages.len());
        for m in messages {
            turns.push(self.turn(m, &mut tools, &guard_text));
        }
        let text = self.fill(turns, tools, bytes, add_generation_prompt)?;
        let mut tokens = tokens_of(tokenizer, &text, guard)?;
        if let Some(bos) = tokenizer.bos().filter(|&b| tokenizer.adds_bos() && tokens.first() != Some(&b)) {
            tokens.insert(0, bos);
        }
        Ok(tokens)
    }

    /// What to change in a session that holds the tokens `held` so that it holds the conversation `messages`.
    ///
    /// A conversation that only grew keeps everything: with the families read here, the tokens of a conversation begin
    /// with those of each shorter one. A corrected transcript or a reply cut short keeps what comes before it.
    ///
    /// # Errors
    /// As [`Chat::render`].
    pub fn extend(
        &self,
        tokenizer: &Tokenizer,
        held: &[TokenId],
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<Extension> {
        let mut append = self.render(tokenizer, messages, add_generation_prompt)?;
        let keep = held.iter().zip(&append).take_while(|(a, b)| a == b).count();
        append.drain(..keep);
        Ok(Extension { keep, append })
    }

    /// One message as the template takes it. A template with calls of its own gets them, and the tools that a system
    /// message ends with, as data; Llama 3's and others read both in the text.
    fn turn(&self, m: &Message, tools: &mut Vec<Value>, guard: &dyn Fn(&str) -> String) -> Value {
        let role = self.role(m.role);
        if self.native_calls {
            match (m.role, parse_reply(&m.content)) {
                (Role::Assistant, Reply::Call(call)) => {
                    let call = native::value(&native::call(&call, guard));
                    return context! { role, content => guard(words(&m.content).trim_end()), tool_calls => vec![call] };
                }
                (Role::System, _) => {
                    if let Some((text, found)) = native::tools(&guard(&m.content)) {
                        tools.extend(found.iter().map(native::value));
                        return context! { role, content => text };
                    }
                }
                _ => {}
            }
        }
        context! { role, content => guard(&m.content) }
    }

    /// How the model was trained to write calls.
    pub fn call_style(&self) -> CallStyle {
        self.call_style
    }

    fn role(&self, role: Role) -> &'static str {
        match role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => self.tool_role,
        }
    }

    fn fill(
        &self,
        turns: Vec<Value>,
        tools: Vec<Value>,
        content_bytes: usize,
        add_generation_prompt: bool,
    ) -> Result<String> {
        // A copy of the environment, because its fuel is for this conversation; the template itself is shared.
        let mut env = self.env.clone();
        env.set_fuel(Some(FUEL_BASE + FUEL_PER_MESSAGE * turns.len() as u64 + FUEL_PER_BYTE * content_bytes as u64));
        let mut out = Bounded { text: Vec::new(), room: OUTPUT_BASE + 4 * content_bytes };
        env.get_template("chat")
            .and_then(|t| {
                t.render_captured_to(
                    context! {
                        messages => turns,
                        tools => if tools.is_empty() { Value::from(()) } else { Value::from(tools) },
                        add_generation_prompt,
                        // The user would wait in silence while the model thinks.
                        enable_thinking => false,
                        bos_token => self.bos.as_str(),
                        eos_token => self.eos.as_str(),
                    },
                    &mut out,
                )
                .map(drop)
            })
            .map_err(refused)?;
        String::from_utf8(out.text)
            .map_err(|e| Error::new(Kind::Internal, "the chat template wrote something that is not text").because(e))
    }
}

/// A file's template: the one without a name, or the first of those that it names.
fn template_of(file: &Gguf) -> Result<Option<&str>> {
    const KEY: &str = "tokenizer.chat_template";
    if let Some(template) = file.str(KEY)? {
        return Ok(Some(template));
    }
    let names = file.strings("tokenizer.chat_templates").ok().flatten().unwrap_or_default();
    let named = |name: &&str| file.str(&format!("{KEY}.{name}")).transpose();
    names.iter().find_map(named).transpose()
}

fn refused(e: minijinja::Error) -> Error {
    let what = match e.kind() {
        ErrorKind::OutOfFuel => "the model's chat template does not come to an end",
        ErrorKind::SyntaxError => "the model's chat template does not compile",
        _ => "the model's chat template does not render this conversation",
    };
    Error::new(Kind::Unsupported, what).remedy("use another model file").because(e)
}

/// A character that no message contains, from a plane without assigned characters.
fn guard_for(messages: &[Message]) -> Result<char> {
    ('\u{F0000}'..='\u{FFFFD}')
        .find(|&c| messages.iter().all(|m| !m.content.contains(c)))
        .ok_or_else(|| Error::new(Kind::Unsupported, "a message uses every private-use character there is"))
}

/// `content` with the guard inside everything that a special token's name could be read from.
fn guarded(tokenizer: &Tokenizer, content: &str, guard: char) -> String {
    let mut out = String::with_capacity(content.len() + 8);
    let mut done = 0;
    for at in tokenizer.specials().beginnings(content) {
        let after_first = at + content[at..].chars().next().map_or(0, char::len_utf8);
        out.push_str(&content[done..after_first]);
        out.push(guard);
        done = after_first;
    }
    out.push_str(&content[done..]);
    out
}

/// Tokens of rendered text: names of special tokens that stand in it unguarded are those tokens.
fn tokens_of(tokenizer: &Tokenizer, text: &str, guard: char) -> Result<Vec<TokenId>> {
    let mut tokens = Vec::with_capacity(text.len() / 3);
    let plain = |s: &str, tokens: &mut Vec<TokenId>| -> Result<()> {
        tokens.extend(match s.contains(guard) {
            true => tokenizer.encode(&s.replace(guard, ""), Specials::AsText)?,
            false => tokenizer.encode(s, Specials::AsText)?,
        });
        Ok(())
    };
    let mut rest = text;
    while let Some((at, name_len, id)) = tokenizer.specials().find(rest) {
        plain(&rest[..at], &mut tokens)?;
        tokens.push(id);
        rest = &rest[at + name_len..];
    }
    plain(rest, &mut tokens)?;
    Ok(tokens)
}

/// Collects output up to a limit.
struct Bounded {
    text: Vec<u8>,
    room: usize,
}

impl Write for Bounded {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        if self.text.len() + buf.len() > self.room {
            return Err(std::io::Error::other(format!("more than {} bytes of output", self.room)));
        }
        self.text.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
