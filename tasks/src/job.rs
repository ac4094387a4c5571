//! The typed half of a task, behind one pointer: its inputs, its body and where its result goes.
//!
//! The scheduler must not know argument types, or all of it would be compiled once per function. It
//! moves a `Box<dyn Job>` through the stages of an attempt; the job keeps its typed result inside until
//! the scheduler says that it may be published, because a task that was cancelled meanwhile must not
//! publish.
//!
//! Invariant: inputs are released before the result is sealed, so that whoever sees the result also sees
//! its arguments unpinned.

use std::task::{Context, Poll, Waker};

use mobula_actor_core::DependencyFailed;
use mobula_actor_core::wire::packed::Packed;

use crate::{
    body::{BodyFuture, BodyKind},
    error::UserError,
    function::TaskFunction,
    input::{Dependency, Inputs},
    output::Outputs,
};

/// One task's inputs, body and outlet, whatever their types.
pub(crate) trait Job: Send {
    /// Shows the dependencies that have not come.
    fn visit(&self, visitor: &mut dyn FnMut(Option<Dependency>));

    /// Polls the inputs that have not come.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>>;

    /// Resolves the inputs and runs a plain body to its end; `Pending` when the body is a future.
    fn start(&mut self, keep_arguments: bool) -> Poll<Result<(), Failure>>;

    /// Goes on with a body that is a future.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>;

    /// Writes the arguments down for another node, and keeps them.
    fn write(&mut self) -> Result<Packed, Failure>;

    /// Reads a result that was made on another node.
    fn read(&mut self, value: &Packed) -> Result<(), Failure>;

    /// Whether the arguments were kept for another attempt.
    fn can_repeat(&self) -> bool;

    /// Lets go of inputs, arguments and body.
    fn release(&mut self);

    /// Publishes the result.
    fn seal(&mut self);
}

/// Why an attempt gave no result.
#[derive(Debug)]
pub(crate) enum Failure {
    Dependency(DependencyFailed),
    User(UserError),
    /// A broken promise of our own; the text says which.
    Bug(&'static str),
}

pub(crate) struct TypedJob<F: TaskFunction, I, O: Outputs> {
    inputs: Option<I>,
    kept: Option<F::Args>,
    future: Option<BodyFuture<F::Output>>,
    result: Option<F::Output>,
    sealers: Option<O::Sealers>,
}

impl<F: TaskFunction, I, O: Outputs> TypedJob<F, I, O> {
    pub(crate) fn new(inputs: I, sealers: O::Sealers) -> Self {
        Self {
            inputs: Some(inputs),
            kept: None,
            future: None,
            result: None,
            sealers: Some(sealers),
        }
    }
}

impl<F, I, O> Job for TypedJob<F, I, O>
where
    F: TaskFunction,
    I: Inputs<Values = F::Args>,
    O: Outputs<Value = F::Output>,
{
    fn visit(&self, visitor: &mut dyn FnMut(Option<Dependency>)) {
        if let Some(inputs) = &self.inputs {
            inputs.visit(visitor);
        }
    }

    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
        self.inputs.as_mut().map_or(Poll::Ready(Ok(())), |inputs| inputs.poll_ready(cx))
    }

    fn start(&mut self, keep_arguments: bool) -> Poll<Result<(), Failure>> {
        let arguments = match self.kept.take() {
            Some(arguments) => arguments,
            None => match self.first_arguments() {
                Ok(arguments) => arguments,
                Err(failure) => return Poll::Ready(Err(failure)),
            },
        };
        if keep_arguments {
            self.kept = F::duplicate(&arguments);
        }
        match F::run(arguments).0 {
            BodyKind::Call(call) => Poll::Ready(self.keep_result(call())),
            BodyKind::Future(future) => {
                self.future = Some(future);
                Poll::Pending
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(Failure::Bug("a body was polled that is no future")));
        };
        let result = std::task::ready!(future.as_mut().poll(cx));
        self.future = None;
        Poll::Ready(self.keep_result(result))
    }

    fn write(&mut self) -> Result<Packed, Failure> {
        let arguments = match self.kept.take() {
            Some(arguments) => arguments,
            None => self.first_arguments()?,
        };
        let arguments = self.kept.insert(arguments);
        let codec = F::ARGS.ok_or(Failure::Bug("arguments that cannot travel were sent"))?;
        Packed::pack(&codec, arguments).map_err(|error| Failure::User(UserError::from_user(error)))
    }

    fn read(&mut self, value: &Packed) -> Result<(), Failure> {
        let codec = F::OUTPUT.ok_or(Failure::Bug("a result that cannot travel came"))?;
        let value = value.unpack(&codec);
        self.keep_result(value.map_err(UserError::from_user))
    }

    fn can_repeat(&self) -> bool {
        self.kept.is_some()
    }

    fn release(&mut self) {
        self.future = None;
        self.kept = None;
        self.inputs = None;
    }

    fn seal(&mut self) {
        if let (Some(sealers), Some(result)) = (self.sealers.take(), self.result.take()) {
            O::seal(sealers, result);
        }
    }
}

impl<F, I, O> TypedJob<F, I, O>
where
    F: TaskFunction,
    I: Inputs<Values = F::Args>,
    O: Outputs<Value = F::Output>,
{
    fn first_arguments(&mut self) -> Result<F::Args, Failure> {
        let Some(inputs) = &mut self.inputs else {
            return Err(Failure::Bug("a task ran after it had ended"));
        };
        // Every dependency has announced itself, so nothing needs to be woken.
        match inputs.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(failed)) => return Err(Failure::Dependency(failed)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        inputs.take().ok_or(Failure::Bug("a task ran before its inputs were there"))
    }

    fn keep_result(&mut self, result: Result<F::Output, UserError>) -> Result<(), Failure> {
        self.result = Some(result.map_err(Failure::User)?);
        Ok(())
    }
}
