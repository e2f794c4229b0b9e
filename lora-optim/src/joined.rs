//! Many matrices as few vectors.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, State, StateError, pair, rate_groups::GROUP,
    slots::SHAPE,
};

/// Runs a rule that looks at each element by itself on vectors into which all matrices of a rate group are joined.
///
/// A step then has three operations for each matrix, which join its gradient and itself and cut it out again, and a handful for each
/// vector, where the rule alone has one to two dozen for each matrix. On a GPU, which is told of every operation, that is what a step
/// costs; on a CPU a matrix at a time stays in the cache, and joining is slower.
///
/// States are those of the rule alone, and can be saved by one and restored by the other. It wants the same matrices to have gradients
/// in each step: where they change, the state goes through the host.
pub struct Joined {
    rule: Box<dyn Optimizer>,
    /// What the rule knows, and the matrices in each, in order.
    vectors: Vec<Vec<Member>>,
    /// Whether they are vectors: a state that was restored is that of single matrices in their own shapes.
    is_arranged: bool,
    /// Of matrices that had no gradient in the last step.
    resting: State,
}

/// A matrix in a vector.
#[derive(Clone, Debug, PartialEq)]
struct Member {
    key: String,
    shape: [usize; 2],
}

impl Member {
    fn length(&self) -> usize {
        let [rows, columns] = self.shape;
        rows * columns
    }
}

impl Joined {
    /// Joins the matrices of a rule whose state has for each matrix numbers of its shape or numbers for all of it, and which is
    /// fresh.
    pub fn new(rule: Box<dyn Optimizer>) -> Self {
        Self {
            rule,
            vectors: Vec::new(),
            is_arranged: true,
            resting: State::default(),
        }
    }

    /// Sees to it that the vectors are made of these matrices, which are in key order.
    fn arrange(
        &mut self,
        members: &[Member],
        rates: &Rates,
        device: &Device,
    ) -> Result<(), StateError> {
        // Whole vectors share a rate, so that it is enough to look at the members of each.
        let same_rate = |vector: &Vec<Member>| {
            let group = rates.group(&vector[0].key);
            vector
                .iter()
                .all(|member| rates.group(&member.key) == group)
        };
        let present: BTreeSet<&str> = self
            .vectors
            .iter()
            .flatten()
            .map(|x| x.key.as_str())
            .collect();
        let wanted: BTreeSet<&str> = members.iter().map(|member| member.key.as_str()).collect();
        if self.is_arranged && present == wanted && self.vectors.iter().all(same_rate) {
            return Ok(());
        }
        let state = self.state();
        let mut vectors = BTreeMap::<(&str, String), Vec<Member>>::new();
        for member in members {
            let group = rates.group(&member.key);
            let vector = vectors.entry((group, age(&state, member)));
            vector.or_default().push(member.clone());
        }
        self.vectors = vectors.into_values().collect();
        self.is_arranged = true;
        self.take_in(state, rates, device)
    }

    /// Gives the rule the states of the matrices in the vectors and of their groups, and keeps the others.
    fn take_in(
        &mut self,
        mut state: State,
        rates: &Rates,
        device: &Device,
    ) -> Result<(), StateError> {
        let mut joined = State::default();
        for vector in &self.vectors {
            join(vector, &mut state, &mut joined);
        }
        // A group rests with its last matrix. Of any other the rule says itself whether it fits the rates.
        let moving = self
            .vectors
            .iter()
            .map(|vector| rates.group(&vector[0].key));
        let moving: BTreeSet<&str> = moving.collect();
        let resting = state.tensors.keys();
        let resting = resting.filter_map(|name| name.strip_suffix(SHAPE)?.strip_suffix('/'));
        let resting = resting.filter(|key| !key.starts_with(GROUP));
        let resting: BTreeSet<String> = resting
            .map(|key| rates.group(key))
            .filter(|group| !moving.contains(group))
            .map(str::to_owned)
            .collect();
        let is_theirs = |name: &str| {
            let group = name
                .strip_prefix(GROUP)
                .and_then(|name| name.rsplit_once('/'));
            group.is_some_and(|(group, _)| !resting.contains(group))
        };
        let groups = state.tensors.extract_if(.., |name, _| is_theirs(name));
        joined.tensors.extend(groups);
        let groups = state.scalars.extract_if(.., |name, _| is_theirs(name));
        joined.scalars.extend(groups);
        self.rule.restore(joined, device)?;
        self.resting = state;
        Ok(())
    }
}

impl Optimizer for Joined {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        let pairs = pair(params, grads)?;
        let Some((_, first, _)) = pairs.first() else {
            return Ok(());
        };
        let device = first.device();
        let member = |(key, param, _): &(&str, &mut Tensor<2>, Tensor<2>)| Member {
            key: (*key).to_owned(),
            shape: param.dims(),
        };
        let members: Vec<Member> = pairs.iter().map(member).collect();
        self.check(&members)?;
        if let Err(error) = self.arrange(&members, rates, &device) {
            unreachable!("a state that was the rule's own: {error}");
        }
        let mut by_key: BTreeMap<&str, (&mut Tensor<2>, Tensor<2>)> = pairs
            .into_iter()
            .map(|(key, param, grad)| (key, (param, grad)))
            .collect();
        let (mut long_params, mut long_grads) = (Matrices::new(), Matrices::new());
        for vector in &self.vectors {
            let (params, grads) = vector
                .iter()
                .filter_map(|member| by_key.get(member.key.as_str()))
                .map(|(param, grad)| (flat(Tensor::clone(param)), flat(grad.clone())))
                .unzip();
            let name = &vector[0].key;
            long_params.insert(name.clone(), Tensor::cat(params, 1));
            long_grads.insert(name.clone(), Tensor::cat(grads, 1));
        }
        self.rule.step(&mut long_params, long_grads, rates)?;
        for vector in &self.vectors {
            cut(vector, &long_params[&vector[0].key], |key, matrix| {
                if let Some((param, _)) = by_key.get_mut(key) {
                    **param = matrix;
                }
            });
        }
        Ok(())
    }

    fn averaged(&self, params: &Matrices) -> Option<Matrices> {
        if !self.is_arranged {
            return self.rule.averaged(params);
        }
        let joined = self.vectors.iter().map(|vector| {
            let parts = vector.iter().filter_map(|member| params.get(&member.key));
            let parts = parts.map(|param| flat(param.clone())).collect();
            (vector[0].key.clone(), Tensor::cat(parts, 1))
        });
        let averages = self.rule.averaged(&joined.collect())?;
        // What is in no vector, as it never had a gradient or has none any more, stays as it is.
        let mut all = params.clone();
        for vector in &self.vectors {
            if let Some(average) = averages.get(&vector[0].key) {
                cut(vector, average, |key, matrix| {
                    all.insert(key.to_owned(), matrix);
                });
            }
        }
        Some(all)
    }

    fn state(&self) -> State {
        let mut state = self.rule.state();
        for vector in &self.vectors {
            split(vector, &mut state);
        }
        state.tensors.extend(self.resting.tensors.clone());
        state.scalars.extend(self.resting.scalars.clone());
        state
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        let keys = state.tensors.keys();
        let keys = keys.filter_map(|name| name.strip_suffix(SHAPE)?.strip_suffix('/'));
        let keys = keys.filter(|key| !key.starts_with(GROUP));
        let single = |key: &str| {
            let shape = shape_of(&state, key)?;
            let key = key.to_owned();
            Some(vec![Member { key, shape }])
        };
        let vectors = keys.filter_map(single).collect();
        // The rule alone knows what it can go on from; the next step joins.
        self.rule.restore(state, device)?;
        self.vectors = vectors;
        self.is_arranged = false;
        self.resting = State::default();
        Ok(())
    }
}

impl Joined {
    /// Whether the states are those of matrices with these shapes.
    fn check(&self, members: &[Member]) -> Result<(), OptimizerError> {
        let vectors = self.vectors.iter().flatten();
        let shapes: BTreeMap<&str, [usize; 2]> =
            vectors.map(|x| (x.key.as_str(), x.shape)).collect();
        for member in members {
            let resting = || shape_of(&self.resting, &member.key);
            let Some(state) = shapes.get(member.key.as_str()).copied().or_else(resting) else {
                continue;
            };
            if state != member.shape {
                return Err(OptimizerError::StateShape {
                    key: member.key.clone(),
                    parameter: member.shape,
                    state,
                });
            }
        }
        Ok(())
    }
}

fn flat(matrix: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    matrix.reshape([1, rows * columns])
}

/// Gives each member's part of a joined `[1, length]`, in its shape.
fn cut(vector: &[Member], joined: &Tensor<2>, mut give: impl FnMut(&str, Tensor<2>)) {
    let mut first = 0;
    for member in vector {
        let last = first + member.length();
        let part = joined.clone().slice([0..1, first..last]);
        give(&member.key, part.reshape(member.shape));
        first = last;
    }
}

/// Moves the states of a vector's members out of `state` and, as one, into `joined`.
fn join(vector: &[Member], state: &mut State, joined: &mut State) {
    let first = &vector[0];
    let length: usize = vector.iter().map(Member::length).sum();
    for (leaf, data) in leaves(&state.tensors, &first.key) {
        let data = if leaf == SHAPE {
            TensorData::from([1, length as i64])
        } else if data.num_elements() == first.length() {
            let parts = vector.iter().filter_map(|member| {
                let name = format!("{}/{leaf}", member.key);
                Some(state.tensors.get(&name)?.as_bytes())
            });
            TensorData::from_bytes_vec(
                parts.collect::<Vec<_>>().concat(),
                [1, length],
                data.dtype(),
            )
        } else {
            data
        };
        joined.tensors.insert(format!("{}/{leaf}", first.key), data);
    }
    for (leaf, scalar) in leaves(&state.scalars, &first.key) {
        joined
            .scalars
            .insert(format!("{}/{leaf}", first.key), scalar);
    }
    for Member { key, .. } in vector {
        let is_theirs = |name: &str| {
            name.strip_prefix(key.as_str())
                .is_some_and(|leaf| leaf.starts_with('/'))
        };
        state.tensors.retain(|name, _| !is_theirs(name));
        state.scalars.retain(|name, _| !is_theirs(name));
    }
}

/// The opposite of [`join`], within `state`.
fn split(vector: &[Member], state: &mut State) {
    let key = &vector[0].key;
    let length: usize = vector.iter().map(Member::length).sum();
    for (leaf, data) in leaves(&state.tensors, key) {
        let mut rest = data.as_bytes();
        let size = rest.len() / data.num_elements().max(1);
        for member in vector {
            let part = if leaf == SHAPE {
                TensorData::from(member.shape.map(|side| side as i64))
            } else if data.num_elements() == length {
                let (part, after) = rest.split_at(size * member.length());
                rest = after;
                TensorData::from_bytes_vec(part.to_vec(), member.shape, data.dtype())
            } else {
                data.clone()
            };
            state.tensors.insert(format!("{}/{leaf}", member.key), part);
        }
    }
    for (leaf, scalar) in leaves(&state.scalars, key) {
        for member in vector {
            state
                .scalars
                .insert(format!("{}/{leaf}", member.key), scalar);
        }
    }
}

/// What belongs to `key`, by the name behind it.
fn leaves<T: Clone>(values: &BTreeMap<String, T>, key: &str) -> Vec<(String, T)> {
    let prefix = format!("{key}/");
    let below = values.range(prefix.clone()..);
    let theirs = below.take_while(|(name, _)| name.starts_with(&prefix));
    theirs
        .map(|(name, value)| (name[prefix.len()..].to_owned(), value.clone()))
        .collect()
}

/// What matrices must have in common to be joined, in words that compare: which values they have, and those that hold for all of their
/// elements, such as the number of steps. A matrix of one number stays alone, for nothing tells its element from the latter.
fn age(state: &State, member: &Member) -> String {
    let alone = if member.length() == 1 {
        &member.key
    } else {
        ""
    };
    let scalars = leaves(&state.scalars, &member.key);
    let tensors = leaves(&state.tensors, &member.key).into_iter();
    let tensors: Vec<_> = tensors
        .map(|(leaf, data)| {
            let single = (data.num_elements() == 1).then(|| data.as_bytes().to_vec());
            (leaf, single)
        })
        .collect();
    format!("{alone} {scalars:?} {tensors:?}")
}

fn shape_of(state: &State, key: &str) -> Option<[usize; 2]> {
    let shape = state.tensors.get(&format!("{key}/{SHAPE}"))?;
    let [rows, columns] = <[i64; 2]>::try_from(shape.as_slice::<i64>().ok()?).ok()?;
    Some([rows as usize, columns as usize])
}
