//! What optimisers with an estimated step size remember: something of each matrix and something of each rate group.

use std::collections::{BTreeMap, BTreeSet};

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};

use crate::{Matrices, Optimizer, OptimizerError, Rates, State, StateError, pair, slots::Slots};

/// Before the names of saved values that belong to a group.
pub(crate) const GROUP: &str = "rate-group:";

/// The matrices of one rate group that have a gradient, in key order.
pub(crate) type Members<'a> = Vec<(&'a str, &'a mut Tensor<2>)>;

/// One `S` for each matrix and one `G` for each [group](Rates::group).
///
/// The estimate is a distance that holds for all matrices of a group alike, times the group's rate. Two rates mean that the
/// user wants one part of the network to go slower than it would; one estimate over both would mix what they cover, and
/// the reference implementations refuse it. So each group estimates for itself, and with one rate for everything there
/// is one group, as in the references.
pub(crate) struct RateGroups<S, G> {
    pub(crate) matrices: Slots<S>,
    pub(crate) groups: Slots<G>,
}

impl<S, G> RateGroups<S, G> {
    /// Whether the state fits these matrices and these rates; to be called before anything moves.
    pub(crate) fn check(&self, params: &Matrices, rates: &Rates) -> Result<(), OptimizerError> {
        self.matrices.check(params)?;
        let expected: BTreeSet<&str> = self.matrices.keys().map(|key| rates.group(key)).collect();
        let found: BTreeSet<&str> = self.groups.keys().collect();
        if expected == found {
            return Ok(());
        }
        let names = |groups: BTreeSet<&str>| groups.into_iter().map(str::to_owned).collect();
        Err(OptimizerError::RateGroups {
            rates: names(expected),
            state: names(found),
        })
    }
}

impl<S: RecordState, G: RecordState> RateGroups<S, G> {
    pub(crate) fn state(&self) -> State {
        let mut state = self.matrices.state();
        let groups = self.groups.state();
        let named = |name: String| format!("{GROUP}{name}");
        state.tensors.extend(
            groups
                .tensors
                .into_iter()
                .map(|(name, value)| (named(name), value)),
        );
        state.scalars.extend(
            groups
                .scalars
                .into_iter()
                .map(|(name, value)| (named(name), value)),
        );
        state
    }

    pub(crate) fn restored(mut state: State, device: &Device) -> Result<Self, StateError> {
        let groups = State {
            tensors: split_off(&mut state.tensors),
            scalars: split_off(&mut state.scalars),
        };
        Ok(Self {
            matrices: Slots::restored(state, device)?,
            groups: Slots::restored(groups, device)?,
        })
    }
}

fn split_off<T>(values: &mut BTreeMap<String, T>) -> BTreeMap<String, T> {
    let of_groups = values.extract_if(.., |name, _| name.starts_with(GROUP));
    of_groups
        .map(|(name, value)| (name[GROUP.len()..].to_owned(), value))
        .collect()
}

/// A rule with an estimated step size, one rate group at a time.
pub(crate) trait GroupRule: Send {
    /// What is remembered of each matrix.
    type Matrix: RecordState + Send;
    /// What is remembered of each group.
    type Group: RecordState + Send;

    /// Moves the matrices of a group.
    fn group_step(
        &self,
        memory: &mut RateGroups<Self::Matrix, Self::Group>,
        name: &str,
        rate: f64,
        members: Members<'_>,
        grads: &mut Matrices,
        device: &Device,
    );
}

/// The optimiser that follows a [`GroupRule`].
pub(crate) struct Grouped<R: GroupRule> {
    rule: R,
    memory: RateGroups<R::Matrix, R::Group>,
}

impl<R: GroupRule> Grouped<R> {
    pub(crate) fn new(rule: R) -> Self {
        Self {
            rule,
            memory: RateGroups {
                matrices: Slots::new(),
                groups: Slots::new(),
            },
        }
    }
}

impl<R: GroupRule> Optimizer for Grouped<R> {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.memory.check(params, rates)?;
        for (name, group) in by_group(pair(params, grads)?, rates) {
            let Group {
                rate,
                members,
                mut grads,
            } = group;
            let device = members[0].1.device();
            let memory = &mut self.memory;
            self.rule
                .group_step(memory, &name, rate, members, &mut grads, &device);
        }
        Ok(())
    }

    fn state(&self) -> State {
        self.memory.state()
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        self.memory = RateGroups::restored(state, device)?;
        Ok(())
    }
}

/// What a rule is given of one rate group in a step.
struct Group<'a> {
    rate: f64,
    members: Members<'a>,
    /// Of the members.
    grads: Matrices,
}

/// Sorts matrices and gradients by rate group. A group whose rate is 0 rests and is left out.
fn by_group<'a>(
    pairs: Vec<(&'a str, &'a mut Tensor<2>, Tensor<2>)>,
    rates: &Rates,
) -> BTreeMap<String, Group<'a>> {
    let mut groups = BTreeMap::new();
    for (key, param, grad) in pairs {
        let rate = rates.at(key);
        if rate != 0.0 {
            let group = groups.entry(rates.group(key).to_owned());
            let group = group.or_insert_with(|| Group {
                rate,
                members: Vec::new(),
                grads: Matrices::new(),
            });
            group.members.push((key, param));
            group.grads.insert(key.to_owned(), grad);
        }
    }
    groups
}
