//! Seeded bugs of the registry.
//!
//! Pure: no clock, no I/O, no tasks.

/// Which rule is broken on purpose. For the mutation gate only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// None.
    #[default]
    None,
    /// Lease: counted from the acknowledgement, not from the sending.
    LeaseFromAck,
    /// Lease: acknowledgements under different configurations are added together.
    MixConfigs,
    /// Lease: one acknowledgement is enough.
    OneAck,
    /// Voter: a session that is fenced is acknowledged.
    AckAfterFence,
    /// Voter: acknowledges under the configuration it has applied although a newer one has reached it.
    AckUnderOldConfig,
    /// Voter: certifies as soon as the fence is applied.
    CertifyAtOnce,
    /// Voter: does not wait after a change of configuration.
    NoWaitAfterConfig,
    /// Voter: certifies without a fence.
    CertifyUnfenced,
    /// Voter: a proof of death of one life counts for every life of the node.
    ProofForAnyLife,
    /// Leader: one certificate is enough.
    OneCertificate,
    /// State: any voters may follow any others.
    AnyConfigFollows,
    /// State: a name that is killed or replaced is given on before its holder has let go.
    GiveAtOnce,
    /// State: an end that is reported late counts for whoever has the name now.
    IgnoreGeneration,
    /// State: a request that comes twice is done twice.
    NoDedupe,
    /// State: an actor that was killed comes back when its node is lost.
    KilledComesBack,
    /// Freshness: what was forgotten is believed.
    TrustForgotten,
    /// Freshness: the check is left out.
    NoCheck,
    /// Genesis: a seed that restarted votes at once.
    VoteWithoutRecovery,
    /// Genesis: a seed that restarted takes over no value that others have accepted.
    RecoverNothing,
    /// Genesis: two seeds of three are not asked; one is enough.
    MinorityFounds,
    /// Genesis: a proposer puts its own value before one that was accepted.
    IgnoreAccepted,
    /// Genesis: a seed accepts below what it has promised.
    BreakPromise,
}
