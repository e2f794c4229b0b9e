use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

use tract_onnx::{
    Onnx,
    pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto, tensor_proto, tensor_shape_proto},
    pb::{tensor_proto::DataType, type_proto},
};

use super::{OnnxError, OnnxInput};

/// Checks what a model says of itself before tract, which trusts it, gets to see it.
///
/// Gives the input and the names of the outputs.
///
/// # Errors
/// When it has no graph, another number of inputs than one, an input that is not f32, no outputs or undefined ones,
/// weights in other files, or operators that tract does not know.
pub(super) fn checked(
    path: &Path,
    proto: &ModelProto,
    onnx: &Onnx,
) -> Result<(OnnxInput, Vec<String>), OnnxError> {
    let not_onnx = |reason: String| OnnxError::NotOnnx {
        path: path.into(),
        reason,
    };
    let graph = proto
        .graph
        .as_ref()
        .filter(|graph| !graph.node.is_empty())
        .ok_or_else(|| not_onnx("it holds no graph".to_owned()))?;
    no_external_data(path, graph)?;
    known_operators(path, graph, onnx)?;
    let input = only_input(path, graph)?;
    let outputs: Vec<String> = graph.output.iter().map(|one| one.name.clone()).collect();
    if outputs.is_empty() {
        return Err(not_onnx("it has no outputs".to_owned()));
    }
    if let Some(undefined) = undefined_value(graph) {
        return Err(not_onnx(format!("nothing computes \"{undefined}\"")));
    }
    Ok((input, outputs))
}

fn no_external_data(path: &Path, graph: &GraphProto) -> Result<(), OnnxError> {
    let external = Some(tensor_proto::DataLocation::External as i32);
    let is_external = |tensor: &&TensorProto| tensor.data_location == external;
    match all_graphs(graph)
        .into_iter()
        .flat_map(tensors)
        .find(is_external)
    {
        Some(tensor) => Err(OnnxError::ExternalData {
            path: path.into(),
            tensor: tensor.name.clone(),
        }),
        None => Ok(()),
    }
}

fn tensors(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    let constants = graph
        .node
        .iter()
        .flat_map(|node| &node.attribute)
        .filter_map(|attribute| attribute.t.as_ref());
    graph.initializer.iter().chain(constants)
}

fn known_operators(path: &Path, graph: &GraphProto, onnx: &Onnx) -> Result<(), OnnxError> {
    let unknown: BTreeSet<String> = all_graphs(graph)
        .into_iter()
        .flat_map(|graph| &graph.node)
        .filter(|node| !onnx.op_register.0.contains_key(&node.op_type))
        .map(|node| match node.domain.as_str() {
            "" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(OnnxError::Operators {
        path: path.into(),
        operators: unknown.into_iter().collect(),
    })
}

/// The graph and those within its `If`, `Loop` and `Scan` nodes.
fn all_graphs(graph: &GraphProto) -> Vec<&GraphProto> {
    let mut found = vec![graph];
    let mut next = 0;
    while let Some(&graph) = found.get(next) {
        for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
            found.extend(attribute.g.as_ref());
            found.extend(&attribute.graphs);
        }
        next += 1;
    }
    found
}

fn only_input(path: &Path, graph: &GraphProto) -> Result<OnnxInput, OnnxError> {
    let is_weight = |one: &&ValueInfoProto| graph.initializer.iter().any(|w| w.name == one.name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|one| !is_weight(one)).collect();
    let [input] = inputs[..] else {
        return Err(OnnxError::Inputs {
            path: path.into(),
            inputs: inputs.iter().map(|one| one.name.clone()).collect(),
        });
    };
    let tensor = input.r#type.as_ref().and_then(|one| one.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = tensor else {
        return Err(OnnxError::NotOnnx {
            path: path.into(),
            reason: format!("its input \"{}\" has no type", input.name),
        });
    };
    if tensor.elem_type != DataType::Float as i32 {
        let found = DataType::try_from(tensor.elem_type).map_or_else(
            |_| tensor.elem_type.to_string(),
            |one| one.as_str_name().to_lowercase(),
        );
        return Err(OnnxError::InputType {
            path: path.into(),
            input: input.name.clone(),
            found,
        });
    }
    let shape = tensor.shape.iter().flat_map(|shape| &shape.dim);
    Ok(OnnxInput {
        name: input.name.clone(),
        shape: shape.map(fixed_size).collect(),
    })
}

fn fixed_size(dimension: &tensor_shape_proto::Dimension) -> Option<usize> {
    match dimension.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(size)) => {
            usize::try_from(size).ok().filter(|&size| size > 0)
        }
        _ => None,
    }
}

/// A value that a node or an output asks for and nothing in the graph gives.
fn undefined_value(graph: &GraphProto) -> Option<&str> {
    let given = graph.input.iter().map(|one| one.name.as_str());
    let given = given.chain(graph.initializer.iter().map(|one| one.name.as_str()));
    let computed = graph.node.iter().flat_map(|node| &node.output);
    let defined: HashSet<&str> = given.chain(computed.map(String::as_str)).collect();
    let asked = graph.node.iter().flat_map(|node| &node.input);
    asked
        .chain(graph.output.iter().map(|one| &one.name))
        .map(String::as_str)
        .find(|name| !name.is_empty() && !defined.contains(name))
}
