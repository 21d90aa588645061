//! Rewrites a template's source for the engine used here.
//!
//! Hugging Face renders templates with Python's Jinja and two changes of its own; what differs is rewritten:
//! - `{% generation %}` marks what the model is trained to write and changes nothing that is written: it becomes `{% if true %}`.
//! - `a + b` becomes a call of [`SUM`]. The engine's own sum of lists stays unevaluated and is unfolded without being counted as
//!   work, so that thirty doublings of a list would be a billion items.
//! - `'…' % a` becomes a call of [`FORMAT`]: the engine knows `%` between numbers only.
//!
//! What would bring in another template is refused.

use minijinja::machinery::ast::{BinOp, BinOpKind, Call, CallArg, Expr, Macro, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

/// The function that adds.
pub(super) const SUM: &str = "__sum";
/// The function that fills what follows into a text.
pub(super) const FORMAT: &str = "__format";

/// Rewrites `source`.
///
/// # Errors
/// [`ErrorKind::SyntaxError`] where it is not a template; [`ErrorKind::InvalidOperation`] where it asks for another one.
pub(super) fn prepare(source: &str, syntax: SyntaxConfig) -> Result<String, Error> {
    let source = without_generation(source);
    let tree = parse(&source, "chat", syntax)?;
    let mut edits = Edits { source: &source, inserted: Vec::new(), replaced: Vec::new(), failed: None };
    statement(&tree, &mut edits)?;
    edits.apply()
}

/// `source` with its generation tags as conditions that hold.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = ["{%", "{{", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            open => tag_len(rest, if open == "{%" { "%}" } else { "}}" }),
        };
        let (tag, after) = rest.split_at(len);
        rest = after;
        match tag.strip_prefix("{%").map(|t| t.trim_start_matches(['-', '+']).trim_start()) {
            Some(t) if is_word(t, "generation") => out.push_str(&tag.replacen("generation", "if true", 1)),
            Some(t) if is_word(t, "endgeneration") => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            Some(t) if is_word(t, "raw") => {
                // Plain text, whatever it looks like, up to the closing tag.
                let end = rest.find("endraw").unwrap_or(rest.len());
                out.push_str(tag);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            _ => out.push_str(tag),
        }
    }
    out.push_str(rest);
    out
}

/// Whether `tag` (without its opening) is `word` and nothing else.
fn is_word(tag: &str, word: &str) -> bool {
    let after = tag.strip_prefix(word).map(|t| t.trim_start().trim_start_matches(['-', '+']));
    after == Some("%}")
}

/// Bytes of the tag that `text` begins with, which ends at the first `close` outside of quotes.
fn tag_len(text: &str, close: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (i, c) in text.char_indices().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if text[i..].starts_with(close) => return i + close.len(),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
    }
    text.len()
}

/// What is to change, collected on a walk through the whole template.
struct Edits<'s> {
    source: &'s str,
    /// What is inserted before this offset; at one offset, what closes stands before what opens.
    inserted: Vec<(usize, Insert)>,
    /// Offsets of single characters that become a comma.
    replaced: Vec<usize>,
    failed: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Insert {
    Close,
    /// A call of this function.
    Open(&'static str),
}

impl Edits<'_> {
    /// `b`, whose sign is `sign`, becomes a call of `function`.
    fn call(&mut self, b: &BinOp<'_>, (sign, function): (char, &'static str), whole: (usize, usize), line: u16) {
        let (from, to) = (b.left.span().end_offset as usize, b.right.span().start_offset as usize);
        // Between the two stand the sign, white space and the parentheses of either.
        let found = self.source.get(from..to).and_then(|between| between.find(sign));
        match found.map(|at| from + at) {
            Some(at) if self.source[from..at].chars().all(|c| c == ')' || c.is_whitespace()) => {
                self.inserted.extend([(whole.0, Insert::Open(function)), (whole.1, Insert::Close)]);
                self.replaced.push(at);
            }
            _ => self.failed = Some(line),
        }
    }

    fn apply(mut self) -> Result<String, Error> {
        if let Some(line) = self.failed {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("line {line}: a sum or a format that cannot be read"),
            ));
        }
        // Of calls that open at one place the outer one was found first.
        self.inserted.sort_by_key(|(at, insert)| (*at, *insert != Insert::Close));
        self.replaced.sort_unstable();
        let mut out = String::with_capacity(self.source.len() + 8 * self.inserted.len());
        let (mut inserted, mut replaced) = (self.inserted.into_iter().peekable(), self.replaced.into_iter().peekable());
        for (at, c) in self.source.char_indices().chain([(self.source.len(), '\0')]) {
            while let Some((_, insert)) = inserted.next_if(|(to, _)| *to == at) {
                match insert {
                    Insert::Close => out.push(')'),
                    Insert::Open(function) => {
                        out.push_str(function);
                        out.push('(');
                    }
                }
            }
            match replaced.next_if_eq(&at) {
                Some(_) => out.push(','),
                None if at < self.source.len() => out.push(c),
                None => {}
            }
        }
        Ok(out)
    }
}

/// Walks everything in `s`.
fn statement(s: &Stmt<'_>, see: &mut Edits<'_>) -> Result<(), Error> {
    match s {
        Stmt::Template(t) => statements(&t.children, see)?,
        Stmt::EmitExpr(e) => expression(&e.expr, see),
        Stmt::ForLoop(f) => {
            expression(&f.iter, see);
            f.filter_expr.iter().for_each(|e| expression(e, see));
            statements(&f.body, see)?;
            statements(&f.else_body, see)?;
        }
        Stmt::IfCond(i) => {
            expression(&i.expr, see);
            statements(&i.true_body, see)?;
            statements(&i.false_body, see)?;
        }
        Stmt::WithBlock(w) => {
            w.assignments.iter().for_each(|(_, e)| expression(e, see));
            statements(&w.body, see)?;
        }
        Stmt::Set(set) => expression(&set.expr, see),
        Stmt::SetBlock(set) => {
            set.filter.iter().for_each(|e| expression(e, see));
            statements(&set.body, see)?;
        }
        Stmt::AutoEscape(a) => {
            expression(&a.enabled, see);
            statements(&a.body, see)?;
        }
        Stmt::FilterBlock(f) => {
            expression(&f.filter, see);
            statements(&f.body, see)?;
        }
        Stmt::Block(b) => statements(&b.body, see)?,
        Stmt::Macro(m) => the_macro(m, see)?,
        Stmt::CallBlock(c) => {
            call(&c.call, see);
            the_macro(&c.macro_decl, see)?;
        }
        Stmt::Do(d) => call(&d.call, see),
        Stmt::EmitRaw(_) | Stmt::Break(_) | Stmt::Continue(_) => {}
        Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "a chat template is one file; it asks for another"));
        }
    }
    Ok(())
}

fn statements(list: &[Stmt<'_>], see: &mut Edits<'_>) -> Result<(), Error> {
    list.iter().try_for_each(|s| statement(s, see))
}

fn the_macro(m: &Macro<'_>, see: &mut Edits<'_>) -> Result<(), Error> {
    m.defaults.iter().for_each(|e| expression(e, see));
    statements(&m.body, see)
}

fn call(c: &Call<'_>, see: &mut Edits<'_>) {
    expression(&c.expr, see);
    c.args.iter().for_each(|a| expression(argument(a), see));
}

/// Walks `e` and everything in it.
fn expression(e: &Expr<'_>, see: &mut Edits<'_>) {
    let span = e.span();
    match e {
        Expr::BinOp(b) => {
            let function = match (&b.op, &b.left) {
                (BinOpKind::Add, _) => Some(('+', SUM)),
                (BinOpKind::Rem, Expr::Const(text)) if text.value.as_str().is_some() => Some(('%', FORMAT)),
                _ => None,
            };
            if let Some(function) = function {
                see.call(b, function, (span.start_offset as usize, span.end_offset as usize), span.start_line);
            }
        }
        Expr::Call(c) => return call(c, see),
        _ => {}
    }
    let mut each = |e: &Expr<'_>| expression(e, see);
    match e {
        Expr::Var(_) | Expr::Const(_) | Expr::Call(_) => {}
        Expr::Slice(s) => {
            each(&s.expr);
            [&s.start, &s.stop, &s.step].into_iter().flatten().for_each(each);
        }
        Expr::UnaryOp(u) => each(&u.expr),
        Expr::BinOp(b) => [&b.left, &b.right].into_iter().for_each(each),
        Expr::Compare(c) => {
            each(&c.expr);
            c.ops.iter().for_each(|o| each(&o.expr));
        }
        Expr::IfExpr(i) => {
            [&i.test_expr, &i.true_expr].into_iter().for_each(&mut each);
            i.false_expr.iter().for_each(each);
        }
        Expr::Filter(f) => {
            f.expr.iter().for_each(&mut each);
            f.args.iter().for_each(|a| each(argument(a)));
        }
        Expr::Test(t) => {
            each(&t.expr);
            t.args.iter().for_each(|a| each(argument(a)));
        }
        Expr::GetAttr(a) => each(&a.expr),
        Expr::GetItem(i) => [&i.expr, &i.subscript_expr].into_iter().for_each(each),
        Expr::List(l) => l.items.iter().for_each(each),
        Expr::Tuple(t) => t.items.iter().for_each(each),
        Expr::Map(m) => m.keys.iter().chain(&m.values).for_each(each),
    }
}

fn argument<'s, 'a>(a: &'s CallArg<'a>) -> &'s Expr<'a> {
    match a {
        CallArg::Pos(e) | CallArg::Kwarg(_, e) | CallArg::PosSplat(e) | CallArg::KwargSplat(e) => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_become_calls() {
        let of = |t: &str| prepare(t, SyntaxConfig::default()).expect("a template");
        for (t, wanted) in [
            ("{{ a + b }}", "{{ __sum(a , b) }}"),
            ("{{ a+b+c }}", "{{ __sum(__sum(a,b),c) }}"),
            ("{{ (a + b) + (c ~ '+') }}", "{{ __sum((__sum(a , b)) , (c ~ '+')) }}"),
            ("{{ -1 + -b }}", "{{ __sum(-1 , -b) }}"),
            ("{% if a + 'ü' == x[a + 1] %}{% endif %}", "{% if __sum(a , 'ü') == x[__sum(a , 1)] %}{% endif %}"),
            ("{{ 'a %s %%' % b + c }}", "{{ __sum(__format('a %s %%' , b) , c) }}"),
            ("{{ ('%s%s') % (a + b, c % 2) }}", "{{ __format(('%s%s') , (__sum(a , b), c % 2)) }}"),
            ("é{{ 'ü' + x }}ß", "é{{ __sum('ü' , x) }}ß"),
            (
                "{% set x = m['+'] +\n n.o(p + q, r=s + t) %}",
                "{% set x = __sum(m['+'] ,\n n.o(__sum(p , q), r=__sum(s , t))) %}",
            ),
            ("a + b {# c + d #}{{ e | f(g + h) }}", "a + b {# c + d #}{{ e | f(__sum(g , h)) }}"),
            (
                "{% for x in y if x + z %}{% break %}{% endfor %}",
                "{% for x in y if __sum(x , z) %}{% break %}{% endfor %}",
            ),
        ] {
            assert_eq!(of(t), wanted, "{t}");
        }
        assert!(prepare("{% include 'x' %}", SyntaxConfig::default()).is_err());
        assert!(prepare("{{ a +", SyntaxConfig::default()).is_err());
    }

    #[test]
    fn generation_tags_become_conditions() {
        for (t, wanted) in [
            ("{% generation %}x{% endgeneration %}", "{% if true %}x{% endif %}"),
            ("{%- generation -%} x {%-endgeneration-%}", "{%- if true -%} x {%-endif-%}"),
            ("{{ '{% generation %}' }}{# {% generation %} #}", "{{ '{% generation %}' }}{# {% generation %} #}"),
            ("{% raw %}{% generation %}{% endraw %}", "{% raw %}{% generation %}{% endraw %}"),
            ("{% set generation = 1 %}{% generation", "{% set generation = 1 %}{% generation"),
        ] {
            assert_eq!(without_generation(t), wanted);
        }
    }
}
