//! `tercet plan`: how much memory the agent will take, before anything is loaded.

use super::{Context, out};
use crate::budget::Plan;
use crate::config;
use crate::error::Result;
use crate::store::Paths;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, ctx: &Context) -> Result<()> {
    let plan = config::memory_plan(&ctx.settings()?, &Paths::from_env())?;
    if args.json {
        let mut object = serde_json::to_value(&plan).unwrap_or_default();
        if let Some(o) = object.as_object_mut() {
            o.insert("fits".into(), plan.fits().into());
        }
        out::json(&object)?;
    } else {
        table(&plan)?;
    }
    // The refusal comes after the table: the numbers are needed to fix it.
    plan.check()
}

fn table(plan: &Plan) -> Result<()> {
    let mut t = out::Table::new(["component", "what", "reserved", "note"]);
    for i in &plan.items {
        t.row([i.component.name(), &i.what, &i.bytes.to_string(), &i.note]);
    }
    t.row(["total", "", &plan.total.to_string(), ""]);
    t.row(["budget", "", &plan.cap.to_string(), &plan.cap_note]);
    if plan.fits() {
        t.row(["free", "", &plan.free.to_string(), ""]);
    } else {
        t.row(["short", "", &plan.short.to_string(), "does not fit"]);
    }
    t.print()
}
