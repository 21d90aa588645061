//! Templates whose lists could grow without the engine noticing.
//!
//! The template engine counts every byte and item it makes as fuel, except in sums of lists: it keeps those unevaluated,
//! and unfolds them uncounted when thirty of them are nested. Thirty doublings are a thousand million items. So a `+` is
//! allowed where one side is certain to be text or a number (a sum of that and a list is an error), and the filter that
//! chains lists is not there at all. `~` joins texts whatever they are.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

/// Filters whose results are texts or numbers.
const SCALAR_FILTERS: [&str; 11] =
    ["count", "float", "int", "join", "length", "lower", "replace", "string", "tojson", "trim", "upper"];
/// Methods whose results are texts.
const TEXT_METHODS: [&str; 5] = ["lower", "lstrip", "rstrip", "strip", "upper"];
/// Names that hold texts, as long as the template sets none of them.
const TEXT_NAMES: [&str; 2] = ["bos_token", "eos_token"];

/// Refuses a template with a sum that could be of lists.
pub(super) fn check(source: &str, syntax: SyntaxConfig) -> Result<(), Error> {
    let tree = parse(source, "chat", syntax)?;
    let mut sets_text_names = false;
    statement(&tree, &mut |e| {
        sets_text_names |= matches!(e, Seen::Target(Expr::Var(v)) if TEXT_NAMES.contains(&v.id))
    })?;
    let mut bad = None;
    statement(&tree, &mut |seen| {
        if let Seen::Value(Expr::BinOp(b)) = seen
            && matches!(b.op, BinOpKind::Add)
            && !scalar(&b.left, !sets_text_names)
            && !scalar(&b.right, !sets_text_names)
        {
            bad = Some(b.span().start_line);
        }
        if let Seen::Value(Expr::Filter(f)) = seen
            && matches!(f.name, "chain" | "sum")
        {
            bad = Some(f.span().start_line);
        }
    })?;
    match bad {
        None => Ok(()),
        Some(line) => {
            let what = format!("line {line}: a sum that could be of lists; join texts with ~");
            Err(Error::new(ErrorKind::InvalidOperation, what))
        }
    }
}

/// Whether `e` is certain to be a text or a number, or an error.
fn scalar(e: &Expr<'_>, trust_names: bool) -> bool {
    match e {
        Expr::Const(c) => c.value.as_str().is_some() || c.value.is_number(),
        Expr::Var(v) => trust_names && TEXT_NAMES.contains(&v.id),
        Expr::BinOp(b) => match b.op {
            BinOpKind::Add => scalar(&b.left, trust_names) || scalar(&b.right, trust_names),
            BinOpKind::Concat | BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem => true,
            _ => false,
        },
        Expr::Filter(f) => SCALAR_FILTERS.contains(&f.name),
        Expr::Call(c) => matches!(&c.expr, Expr::GetAttr(a) if TEXT_METHODS.contains(&a.name)),
        Expr::GetAttr(a) => {
            matches!(&a.expr, Expr::Var(v) if v.id == "loop") && matches!(a.name, "index" | "index0" | "length")
        }
        Expr::IfExpr(i) => {
            scalar(&i.true_expr, trust_names) && i.false_expr.as_ref().is_none_or(|e| scalar(e, trust_names))
        }
        _ => false,
    }
}

/// What a walk comes by.
enum Seen<'s, 'a> {
    /// Something that is computed.
    Value(&'s Expr<'a>),
    /// Something that is given a value.
    Target(&'s Expr<'a>),
}

type See<'f> = &'f mut dyn FnMut(Seen<'_, '_>);

/// Walks everything in `s`. What could bring in another template, or is not known, is an error.
fn statement(s: &Stmt<'_>, see: See<'_>) -> Result<(), Error> {
    match s {
        Stmt::Template(t) => statements(&t.children, see)?,
        Stmt::EmitExpr(e) => expression(&e.expr, see),
        Stmt::ForLoop(f) => {
            target(&f.target, see);
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
            for (to, e) in &w.assignments {
                target(to, see);
                expression(e, see);
            }
            statements(&w.body, see)?;
        }
        Stmt::Set(set) => {
            target(&set.target, see);
            expression(&set.expr, see);
        }
        Stmt::SetBlock(set) => {
            target(&set.target, see);
            set.filter.iter().for_each(|e| expression(e, see));
            statements(&set.body, see)?;
        }
        Stmt::AutoEscape(a) => statements(&a.body, see)?,
        Stmt::FilterBlock(f) => {
            expression(&f.filter, see);
            statements(&f.body, see)?;
        }
        Stmt::Macro(m) => {
            m.args.iter().for_each(|e| target(e, see));
            m.defaults.iter().for_each(|e| expression(e, see));
            statements(&m.body, see)?;
        }
        Stmt::EmitRaw(_) => {}
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a chat template is one file, without calls or blocks",
            ));
        }
    }
    Ok(())
}

fn statements(list: &[Stmt<'_>], see: See<'_>) -> Result<(), Error> {
    list.iter().try_for_each(|s| statement(s, see))
}

/// A name, or several in a list, that is given a value.
fn target(e: &Expr<'_>, see: See<'_>) {
    see(Seen::Target(e));
    match e {
        Expr::List(l) => l.items.iter().for_each(|e| target(e, see)),
        Expr::Tuple(t) => t.items.iter().for_each(|e| target(e, see)),
        _ => {}
    }
}

/// Walks `e` and everything in it.
fn expression(e: &Expr<'_>, see: See<'_>) {
    see(Seen::Value(e));
    let mut each = |e: &Expr<'_>| expression(e, see);
    match e {
        Expr::Var(_) | Expr::Const(_) => {}
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
        Expr::Call(c) => {
            each(&c.expr);
            c.args.iter().for_each(|a| each(argument(a)));
        }
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
    fn sums_are_of_texts_and_numbers() {
        let ok = |t: &str| check(t, SyntaxConfig::default()).is_ok();
        for t in [
            "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>' }}",
            "{% set content = bos_token + content %}{{ loop.index0 + 1 }}{{ (messages | length) - 1 }}{{ a ~ b }}",
            "{% set ns.n = ns.n + 1 %}{% set x %}text{% endset %}{% macro f(a) %}{{ a }}{% endmacro %}{{ f(m[1:]) }}",
        ] {
            assert!(ok(t), "{t}");
        }
        for t in [
            "{% set ns.x = ns.x + ns.x %}",
            "{{ [1] + [2] }}",
            "{% set bos_token = [1] %}{{ bos_token + bos_token }}",
            "{% for bos_token in x %}{{ bos_token + bos_token }}{% endfor %}",
            "{% macro f(x) %}{{ f(x + x) }}{% endmacro %}",
            "{{ x | chain(x) }}{{ x }}",
            "{% filter chain(x) %}{% endfilter %}",
            "{{ {'a': [y + y]}['a'][0] if true }}",
            "{% include 'x' %}",
            "{% call f() %}{% endcall %}",
        ] {
            assert!(!ok(t), "{t}");
        }
    }
}
