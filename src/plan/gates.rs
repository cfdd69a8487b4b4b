//! Gates that make sense for the run that is planned: phases that it has, pieces of time that lie within it.

use super::{Load, pacing};
use crate::cli::RunArgs;
use crate::core::schedule::{Stage, Timeline};
use crate::slo::{self, Clause, Scope, Unit};
use crate::time::seconds;

/// The course of a run, as far as gates depend on it.
pub(super) struct Course<'a> {
    pub(super) load: &'a Load,
    pub(super) timeline: &'a Timeline,
    pub(super) slice_ns: u64,
}

/// The gates of `--slo`, and the conditions of `--abort-on`.
///
/// # Errors
/// The one that cannot be obeyed, and the remedy.
pub(super) fn gates(
    args: &RunArgs,
    course: &Course<'_>,
) -> Result<(Vec<Clause>, Vec<Clause>), String> {
    let slo = args.slo.as_deref().map(slo::parse).transpose()?.unwrap_or_default();
    let abort_on = args.abort_on.as_deref().map(slo::parse_conditions).transpose()?;
    check(&slo, course)?;
    Ok((slo, abort_on.unwrap_or_default()))
}

/// Checks gates against the course of a run.
///
/// # Errors
/// The one that cannot be obeyed, and the remedy.
pub(super) fn check(gates: &[Clause], course: &Course<'_>) -> Result<(), String> {
    gates.iter().try_for_each(|clause| {
        check_gate(clause, course).map_err(|why| format!("--slo '{}': {why}", clause.text))
    })
}

fn check_gate(clause: &Clause, course: &Course<'_>) -> Result<(), String> {
    let Course { load, .. } = course;
    if clause.metric.needs_schedule() && load.pacing.is_none() {
        return Err("a closed loop has no schedule to lag behind; give --rate, --stages or --burst too, or leave it out".to_owned());
    }
    match &clause.scope {
        Scope::Window if clause.confident && !pacing::is_constant(load.pacing.as_ref()) => Err(
            "where the load changes there is no confidence interval of the whole window; name a phase, like p99[NAME], or leave @ out"
                .to_owned(),
        ),
        Scope::Window => Ok(()),
        Scope::Phase(name) => check_phase(clause, name, course),
        Scope::Span { from_ns, to_ns } => {
            if load.auto_warmup {
                return Err(
                    "--warmup auto cuts the measured window afterwards, so that nobody knows yet where a piece of it is; give a time to --warmup"
                        .to_owned(),
                );
            }
            check_end(*to_ns, course)?;
            check_multiple(*from_ns, course)?;
            check_multiple(*to_ns, course)
        }
        Scope::Each(length_ns) => {
            check_end(*length_ns, course)?;
            check_multiple(*length_ns, course)
        }
    }
}

fn check_phase(clause: &Clause, name: &str, course: &Course<'_>) -> Result<(), String> {
    // The slices of an automatic warm-up are one phase in the end.
    let phases = &course.timeline.phases()[1..];
    let mut names: Vec<&str> = if course.load.auto_warmup {
        vec!["measured"]
    } else {
        phases.iter().map(|phase| phase.name.as_str()).collect()
    };
    if !names.contains(&name) {
        names.dedup();
        return Err(format!("no phase is called '{name}'; this run has {}", names.join(", ")));
    }
    if is_pause(name, course) && !(clause.metric.is_throughput() && clause.unit == Unit::PerSecond)
    {
        return Err(format!(
            "the rate of '{name}' is 0, so it has no requests to judge; leave this gate out, or name another phase"
        ));
    }
    let is_bursts = course.timeline.bursts().is_some()
        && Some(name) == phases.last().map(|phase| phase.name.as_str());
    if is_bursts && (clause.metric.is_throughput() || clause.unit == Unit::PerSecond) {
        return Err(
            "answers to bursts come among all others, so that bursts have no throughput; leave [bursts] out"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether no request is due in the phase, or in any of the phases, of that name.
fn is_pause(name: &str, course: &Course<'_>) -> bool {
    let pacing = course.load.pacing.as_ref();
    let stages = pacing.iter().flat_map(|pacing| &pacing.stages);
    let mut named = stages.filter(|stage| stage.name == name).peekable();
    named.peek().is_some() && named.all(Stage::is_pause)
}

fn check_end(end_ns: u64, course: &Course<'_>) -> Result<(), String> {
    match course.load.duration_ns {
        Some(duration_ns) if end_ns > duration_ns => Err(format!(
            "the measured window takes {} s; use a shorter time, or a longer -d",
            seconds(duration_ns)
        )),
        _ => Ok(()),
    }
}

fn check_multiple(bound_ns: u64, course: &Course<'_>) -> Result<(), String> {
    if bound_ns.is_multiple_of(course.slice_ns) {
        return Ok(());
    }
    Err(format!(
        "this run is watched in slices of {} ms, and {} ms is no multiple of that",
        seconds(course.slice_ns) * 1e3,
        seconds(bound_ns) * 1e3
    ))
}

#[cfg(test)]
mod tests {
    use crate::cli::RunArgs;
    use crate::exit::USAGE;
    use crate::plan::Plan;

    fn args(flags: &[&str]) -> RunArgs {
        // Nobody is asked for anything.
        RunArgs::from_flags(&[&["--dry-run", "-c", "4", "-t", "1"], flags].concat()).unwrap()
    }

    #[test]
    fn another_load_must_fit_the_gates_too() {
        let stages = args(&["--stages", "1s@10,2s@50", "--slo", "p99[2s@50]<1s, max[1s..3s]<1s"]);
        let plan = Plan::build("http://127.0.0.1:9/", &stages).unwrap();
        assert_eq!(plan.slo.len(), 2);
        let with = |flags: &[&str]| plan.with_load(plan.load_of(&args(flags)).unwrap());
        assert!(with(&["--stages", "2s@50,1s@10"]).is_ok());
        let refused = with(&["-R", "50"]).unwrap_err();
        assert_eq!(refused.code, USAGE);
        assert!(refused.message.contains("'2s@50'"), "{}", refused.message);
        let shorter = with(&["--stages", "2s@50"]).unwrap_err();
        assert!(shorter.message.contains("takes 2 s"), "{}", shorter.message);
    }
}
