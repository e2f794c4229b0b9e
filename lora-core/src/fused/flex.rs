//! The operations on burn's CPU backend: flex's tensors in, one pass of a kernel, flex's tensors out.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::TensorData,
};

use super::{
    backend::{CpuOps, Heads, Pair, Pointwise, Rows, Window},
    kernel::{
        activation, attention,
        convolution::{self, Channels},
        low_rank::{self, Given, Sizes},
        norm, softmax,
    },
    shape::halved_last,
};

type Floats = FloatTensor<Flex>;

/// The elements in order; copies only what is not contiguous.
fn with_slice<T>(x: &Floats, read: impl FnOnce(&[f32]) -> T) -> T {
    if let Some(slice) = x.as_slice::<f32>() {
        return read(slice);
    }
    read(x.to_contiguous().as_slice::<f32>().unwrap_or_default())
}

/// The elements of a contiguous tensor.
fn slice(x: &Floats) -> &[f32] {
    x.as_slice::<f32>().unwrap_or_default()
}

fn shape(x: &Floats) -> Vec<usize> {
    x.layout().shape().to_vec()
}

fn tensor(values: Vec<f32>, shape: Vec<usize>) -> Floats {
    Floats::from_data(TensorData::new(values, shape))
}

impl CpuOps for Flex {
    fn pointwise(x: Floats, function: Pointwise) -> Floats {
        tensor(
            with_slice(&x, |x| activation::forward(x, function)),
            shape(&x),
        )
    }

    fn pointwise_backward(x: Floats, grad: Floats, function: Pointwise) -> Floats {
        let gradient = with_slice(&x, |x| {
            with_slice(&grad, |grad| activation::backward(x, grad, function))
        });
        tensor(gradient, shape(&x))
    }

    fn geglu(x: Floats) -> Floats {
        let (out, width) = halved_last(&shape(&x));
        tensor(with_slice(&x, |x| activation::geglu(x, width)), out)
    }

    fn geglu_backward(x: Floats, grad: Floats) -> Floats {
        let (_, width) = halved_last(&shape(&x));
        let gradient = with_slice(&x, |x| {
            with_slice(&grad, |grad| activation::geglu_backward(x, grad, width))
        });
        tensor(gradient, shape(&x))
    }

    fn softmax_last(x: Floats) -> Floats {
        let shape = shape(&x);
        let width = shape.last().copied().unwrap_or(1);
        tensor(with_slice(&x, |x| softmax::forward(x, width)), shape)
    }

    fn softmax_last_backward(output: Floats, grad: Floats) -> Floats {
        let shape = shape(&output);
        let width = shape.last().copied().unwrap_or(1);
        let gradient = with_slice(&output, |output| {
            with_slice(&grad, |grad| softmax::backward(output, grad, width))
        });
        tensor(gradient, shape)
    }

    fn normalise(x: Floats, weight: Floats, bias: Floats, rows: Rows, epsilon: f64) -> Floats {
        let values = with_slice(&x, |x| {
            with_slice(&weight, |weight| {
                with_slice(&bias, |bias| {
                    norm::forward(x, weight, bias, rows, epsilon as f32)
                })
            })
        });
        tensor(values, shape(&x))
    }

    fn normalise_backward(
        x: Floats,
        weight: Floats,
        grad: Floats,
        rows: Rows,
        epsilon: f64,
    ) -> Floats {
        let gradient = with_slice(&x, |x| {
            with_slice(&weight, |weight| {
                with_slice(&grad, |grad| {
                    norm::backward(x, weight, grad, rows, epsilon as f32)
                })
            })
        });
        tensor(gradient, shape(&x))
    }

    fn blocked_attention(
        query: Floats,
        key: Floats,
        value: Floats,
        heads: Heads,
    ) -> (Floats, Floats) {
        let [query, key, value] = [query, key, value].map(|x| x.to_contiguous());
        let (out, logs) = attention::forward(slice(&query), slice(&key), slice(&value), heads);
        let shape = shape(&query);
        let batch = shape.first().copied().unwrap_or_default();
        let logs = tensor(logs, vec![batch, heads.tokens, heads.heads]);
        (tensor(out, shape), logs)
    }

    fn blocked_attention_backward(
        query: Floats,
        key: Floats,
        value: Floats,
        output: Floats,
        logs: Floats,
        grad: Floats,
        heads: Heads,
    ) -> Vec<Floats> {
        let inputs = [query, key, value].map(|x| x.to_contiguous());
        let grad = grad.to_contiguous();
        let gradients = attention::backward(
            inputs.each_ref().map(slice),
            slice(&output),
            slice(&logs),
            slice(&grad),
            heads,
        );
        let shapes = inputs.iter().map(shape);
        let gradients = gradients.into_iter().zip(shapes);
        gradients
            .map(|(values, shape)| tensor(values, shape))
            .collect()
    }

    fn low_rank_linear(
        x: Floats,
        weight: Floats,
        bias: Floats,
        down: Floats,
        up: Floats,
        pair: Pair,
    ) -> (Floats, Floats) {
        let [x, weight, bias, down, up] = [x, weight, bias, down, up].map(|x| x.to_contiguous());
        let sizes = sizes(&weight, &down);
        let (out, hidden) = low_rank::forward(
            slice(&x),
            slice(&weight),
            pair.has_bias.then(|| slice(&bias)),
            [slice(&down), slice(&up)],
            pair.scale,
            sizes,
        );
        let mut out_shape = shape(&x);
        if let Some(last) = out_shape.last_mut() {
            *last = sizes.outputs;
        }
        let length = hidden.len();
        (tensor(out, out_shape), tensor(hidden, vec![length]))
    }

    fn low_rank_linear_backward(
        x: Floats,
        frozen: Floats,
        down: Floats,
        up: Floats,
        hidden: Floats,
        grad: Floats,
        pair: Pair,
    ) -> Vec<Floats> {
        let [x, frozen, down, up, grad] = [x, frozen, down, up, grad].map(|x| x.to_contiguous());
        let given = Given {
            x: slice(&x),
            weight: slice(&frozen),
            down: slice(&down),
            up: slice(&up),
            hidden: slice(&hidden),
            grad: slice(&grad),
            scale: pair.scale,
            sizes: sizes(&frozen, &down),
        };
        let (of_x, [of_down, of_up]) = given.gradients(pair.passes_on);
        let mut gradients = vec![tensor(of_down, shape(&down)), tensor(of_up, shape(&up))];
        gradients.extend(of_x.map(|values| tensor(values, shape(&x))));
        gradients
    }
}

/// The convolution as matrix products with pieces of the unfolded picture, in f32.
pub(super) fn convolve(x: Floats, weight: Floats, bias: Floats, window: Window) -> Floats {
    let [x, weight, bias] = [x, weight, bias].map(|x| x.to_contiguous());
    let channels = channels(&weight);
    let batch = shape(&x).first().copied().unwrap_or_default();
    let [height, width] = window.output();
    let values = convolution::forward(
        slice(&x),
        slice(&weight),
        Some(slice(&bias)),
        channels,
        window,
    );
    tensor(values, vec![batch, channels.outputs, height, width])
}

/// The gradient of [`convolve`] in `x`.
pub(super) fn convolve_backward(weight: Floats, grad: Floats, window: Window) -> Floats {
    let [weight, grad] = [weight, grad].map(|x| x.to_contiguous());
    let channels = channels(&weight);
    let batch = shape(&grad).first().copied().unwrap_or_default();
    let [height, width] = window.picture;
    let values = convolution::backward(slice(&grad), slice(&weight), channels, window);
    tensor(values, vec![batch, channels.inputs, height, width])
}

/// Of a weight `[outputs, inputs]` and a factor `[rank, inputs]`.
fn sizes(weight: &Floats, down: &Floats) -> Sizes {
    let (weight, down) = (shape(weight), shape(down));
    Sizes {
        outputs: weight[0],
        inputs: weight[1],
        rank: down[0],
    }
}

/// Of a weight `[outputs, inputs, size, size]`.
fn channels(weight: &Floats) -> Channels {
    let shape = shape(weight);
    Channels {
        outputs: shape[0],
        inputs: shape[1],
    }
}
