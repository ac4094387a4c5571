//! The typed half of a task, behind one pointer: its inputs, its body and where its result goes.
//!
//! The scheduler must not know argument types, or all of it would be compiled once per function. It
//! moves a `Box<dyn Job>` through the stages of an attempt; the job keeps its typed result inside until
//! the scheduler says that it may be published, because a task that was cancelled meanwhile must not
//! publish.
//!
//! Invariant: inputs are released before the result is sealed, so that whoever sees the result also sees
//! its arguments unpinned.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mobula_actor_core::DependencyFailed;
use mobula_actor_core::wire::packed::Packed;
use mobula_store::{ObjectId, Store, StoreId, message::Message};

use crate::{
    body::{BodyFuture, BodyKind},
    error::UserError,
    function::TaskFunction,
    input::{Dependency, Inputs},
    output::Outputs,
    wires::{FarArg, Unwritten},
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

    /// Shows what must come here before the arguments can be written down.
    fn visit_unwritable(&self, visitor: &mut dyn FnMut(Dependency));

    /// Writes the arguments down for another node, and keeps them.
    fn write(&mut self) -> Result<Vec<FarArg>, Failure>;

    /// Writes down what it takes to run again, if the result is larger than `bytes`. Only a job that keeps its arguments
    /// can.
    fn describe(&self, bytes: u64) -> Option<Vec<FarArg>>;

    /// The objects that are its results; `None` for one that needs no writing.
    fn objects(&self) -> Vec<Option<ObjectId>>;

    /// The result is on another node: says so when the job is sealed, or dropped.
    fn deliver(&mut self, delivery: Delivery);

    /// Reads a result that was made on another node.
    fn read(&mut self, value: &Packed) -> Result<(), Failure>;

    /// Whether the arguments were kept for another attempt.
    fn can_repeat(&self) -> bool;

    /// Lets go of inputs, arguments and body.
    fn release(&mut self);

    /// Publishes the result.
    fn seal(&mut self);
}

/// What another node says of results that stay there, for the store that keeps them: heard in any case, because what it
/// says keeps things alive there until it is.
pub(crate) struct Delivery {
    pub(crate) store: Arc<Store>,
    pub(crate) from: StoreId,
    pub(crate) messages: Vec<Message>,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            self.store.receive(self.from, message);
        }
    }
}

/// Why an attempt gave no result.
#[derive(Debug)]
pub(crate) enum Failure {
    Dependency(DependencyFailed),
    User(UserError),
    /// A broken promise of our own; the text says which.
    Bug(&'static str),
}

impl From<Unwritten> for Failure {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Dependency(failed) => Self::Dependency(failed),
            Unwritten::User(error) => Self::User(error),
            Unwritten::Missing => Self::Bug("arguments were sent before they were there"),
        }
    }
}

pub(crate) struct TypedJob<F: TaskFunction, I, O: Outputs> {
    inputs: Option<I>,
    kept: Option<F::Args>,
    future: Option<BodyFuture<F::Output>>,
    result: Option<F::Output>,
    delivery: Option<Delivery>,
    sealers: Option<O::Sealers>,
    /// The inputs have given their values.
    was_taken: bool,
}

impl<F: TaskFunction, I, O: Outputs> TypedJob<F, I, O> {
    pub(crate) fn new(inputs: I, sealers: O::Sealers) -> Self {
        Self {
            inputs: Some(inputs),
            kept: None,
            future: None,
            result: None,
            delivery: None,
            sealers: Some(sealers),
            was_taken: false,
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

    fn visit_unwritable(&self, visitor: &mut dyn FnMut(Dependency)) {
        if let (Some(inputs), Some(wires)) = (&self.inputs, F::ARGS) {
            inputs.visit_unwritable(&wires, visitor);
        }
    }

    fn write(&mut self) -> Result<Vec<FarArg>, Failure> {
        let wires = F::ARGS.ok_or(Failure::Bug("arguments that cannot travel were sent"))?;
        let inputs =
            self.inputs.as_mut().ok_or(Failure::Bug("a task was sent after it had ended"))?;
        let written = match &self.kept {
            Some(kept) => inputs.describe(kept, &wires, false),
            None => inputs.write(&wires),
        };
        written.map_err(Failure::from)
    }

    fn describe(&self, bytes: u64) -> Option<Vec<FarArg>> {
        let wires = F::ARGS?;
        let is_large = O::size(self.result.as_ref()?) > bytes;
        if !is_large {
            return None;
        }
        self.inputs.as_ref()?.describe(self.kept.as_ref()?, &wires, true).ok()
    }

    fn objects(&self) -> Vec<Option<ObjectId>> {
        self.sealers.as_ref().map(O::objects).unwrap_or_default()
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.delivery = Some(delivery);
    }

    fn read(&mut self, value: &Packed) -> Result<(), Failure> {
        let codec = F::OUTPUT.ok_or(Failure::Bug("a result that cannot travel came"))?;
        let value = value.unpack(&codec);
        self.keep_result(value.map_err(UserError::from_user))
    }

    fn can_repeat(&self) -> bool {
        self.kept.is_some() || (!self.was_taken && self.inputs.is_some())
    }

    fn release(&mut self) {
        self.future = None;
        self.kept = None;
        self.inputs = None;
    }

    fn seal(&mut self) {
        let delivery = self.delivery.take();
        let is_elsewhere = delivery.is_some();
        // Heard before the pens are laid down.
        drop(delivery);
        match (self.sealers.take(), self.result.take()) {
            (Some(sealers), Some(result)) => O::seal(sealers, result),
            (Some(sealers), None) if is_elsewhere => O::leave(sealers),
            (_, _) => {}
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
        let values = inputs.take();
        self.was_taken = values.is_some();
        values.ok_or(Failure::Bug("a task ran before its inputs were there"))
    }

    fn keep_result(&mut self, result: Result<F::Output, UserError>) -> Result<(), Failure> {
        self.result = Some(result.map_err(Failure::User)?);
        Ok(())
    }
}
