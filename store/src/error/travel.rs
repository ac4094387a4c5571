//! Failures of tasks, as they travel between nodes.
//!
//! A failure holds the user's own error, whose type another program need not know; so what travels is its kind and
//! its text. Arrived, it is the same variant wherever that says enough with a text, and a lost task otherwise.

use std::{fmt, sync::Arc};

use super::{TaskError, TaskLabel};
use crate::message::Failure;

/// A user's error that was left behind on another node, as its text.
#[derive(Clone, Debug)]
struct FromElsewhere(Arc<str>);

impl fmt::Display for FromElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FromElsewhere {}

/// What travels.
pub(crate) fn failure(error: &TaskError) -> Failure {
    let (kind, text, attempt) = match error {
        TaskError::UserError { text, .. } => ("UserError", text.to_string(), 0),
        TaskError::Panicked { message, location, .. } => {
            let at = location.iter().map(|location| format!(" at {location}"));
            ("Panicked", std::iter::once(message.to_string()).chain(at).collect(), 0)
        }
        TaskError::Cancelled { .. } => ("Cancelled", String::new(), 0),
        TaskError::NoProvider { seen, .. } => ("NoProvider", seen.to_string(), 0),
        TaskError::Denied { text, .. } => ("Denied", text.to_string(), 0),
        TaskError::GroupGone { text, .. } => ("GroupGone", text.to_string(), 0),
        TaskError::Infeasible { text, .. } => ("Infeasible", text.to_string(), 0),
        TaskError::Invalid { text, .. } => ("Invalid", text.to_string(), 0),
        TaskError::Lost { text, attempt, .. } => ("Lost", text.to_string(), *attempt),
        TaskError::DependencyFailed { task, cause } => {
            // The dependent's name stands in front; the cause keeps its own.
            let cause = failure(cause);
            let Failure { kind, task: label, text, attempt } = cause;
            let kind = format!("{DEPENDENCY}{kind}");
            return Failure { kind, task: format!("{task}{APART}{label}"), text, attempt };
        }
        other => ("Lost", other.to_string(), 1),
    };
    Failure { kind: kind.into(), task: error.label().to_string(), text, attempt }
}

/// Stands in front of the kind when an argument failed.
const DEPENDENCY: &str = "Dependency";
/// Stands between the dependent's label and that of its argument's task.
const APART: char = '\u{1f}';

/// What arrived.
pub(crate) fn task_error(failure: Failure) -> TaskError {
    let Failure { kind, task, text, attempt } = failure;
    if let Some(kind) = kind.strip_prefix(DEPENDENCY)
        && let Some((dependent, label)) = task.split_once(APART)
    {
        let cause = Failure { kind: kind.into(), task: label.into(), text, attempt };
        // Whatever was sent, what is built here nests once.
        let label = TaskLabel::from(dependent);
        return TaskError::dependency(label, &plain(cause));
    }
    plain(Failure { kind, task, text, attempt })
}

fn plain(failure: Failure) -> TaskError {
    let Failure { kind, task, text, attempt } = failure;
    let task = TaskLabel::from(task);
    let text: Arc<str> = text.into();
    match kind.as_str() {
        "UserError" => {
            let source = Arc::new(FromElsewhere(Arc::clone(&text)));
            TaskError::UserError { task, text, source }
        }
        "Panicked" => TaskError::Panicked { task, message: text, location: None },
        "Cancelled" => TaskError::Cancelled { task },
        "NoProvider" => TaskError::NoProvider { task, seen: text },
        "Denied" => TaskError::Denied { task, text },
        "GroupGone" => TaskError::GroupGone { task, text },
        "Infeasible" => TaskError::Infeasible { task, text },
        "Invalid" => TaskError::Invalid { task, text },
        _ => TaskError::Lost { task, node: None, attempt: attempt.max(1), text },
    }
}

impl From<&TaskError> for Failure {
    fn from(error: &TaskError) -> Self {
        failure(error)
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        task_error(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_task_and_text_survive_the_journey() {
        let first = TaskError::user_error("parse a1", "not a number");
        let cancelled = TaskError::Cancelled { task: "sleep a2".into() };
        let second = TaskError::dependency("add a3", &first);
        let gone = TaskError::GroupGone { task: "mul a4".into(), text: "g1@2 was removed".into() };
        for error in [first, cancelled, second, gone] {
            assert_eq!(task_error(failure(&error)).to_string(), error.to_string());
        }
    }
}
