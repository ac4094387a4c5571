//! What can go wrong in a run.
//!
//! A benchmark that loses messages is fast and worthless, so a wrong sum is an error like a failed
//! spawn, and ends the whole run: no row is printed that some contender did not really earn.

/// Why a run gave no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BenchError {
    /// Work was skipped or done twice. The figure is void: look for a lost message.
    #[error("the handlers added up to {got}, but {expected} was sent")]
    WrongSum {
        /// What the messages add up to.
        expected: u64,
        /// What the actors counted.
        got: u64,
    },
    /// The framework refused an operation. The run is void; the text is the framework's.
    #[error("{operation} failed: {text}")]
    Refused {
        /// Which primitive was asked for.
        operation: &'static str,
        /// The framework's own words.
        text: String,
    },
    /// An executor could not be started. Nothing ran.
    #[error("the executor did not start")]
    Executor(#[source] std::io::Error),
    /// The driving task panicked or was dropped with its executor. The run is void.
    #[error("the driver ended early")]
    DriverLost,
    /// The resident set could not be read. Only Linux has `/proc`.
    #[error("the resident set cannot be read from {path}")]
    ResidentSet {
        /// The file that was read.
        path: &'static str,
    },
    /// A child process that measures failed. Its standard error says why.
    #[error("the child process of {framework} failed: {text}")]
    Child {
        /// Whom the child measured.
        framework: &'static str,
        /// What the child wrote.
        text: String,
    },
    /// A process of a run wrote another number of figures than its pattern has units.
    #[error("{got} figures instead of {expected}")]
    Figures {
        /// Units of the pattern.
        expected: usize,
        /// Figures that came.
        got: usize,
    },
    /// The chosen flags leave nothing to run. Widen one of them.
    #[error("nothing to run: {0}")]
    NothingToRun(&'static str),
    /// The report could not be written.
    #[error("the report cannot be written")]
    Write(#[from] std::io::Error),
    /// One run of one contender failed; the source says how.
    #[error("{framework} on {pattern} ({executor})")]
    Run {
        /// Who ran.
        framework: &'static str,
        /// What ran.
        pattern: &'static str,
        /// Where it ran.
        executor: &'static str,
        /// Why it failed.
        #[source]
        source: Box<Self>,
    },
}

impl BenchError {
    /// Wraps a framework's error without asking more of it than text.
    pub(crate) fn refused(operation: &'static str) -> impl Fn(String) -> Self {
        move |text| Self::Refused { operation, text }
    }
}
