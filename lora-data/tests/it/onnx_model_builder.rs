use std::{fs, path::Path};

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Builds small ONNX models for tests: inputs, weights and nodes in the order in which they are added.
#[derive(Default)]
pub struct OnnxModelBuilder {
    graph: GraphProto,
}

/// What an attribute of a node may be.
pub enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
}

impl OnnxModelBuilder {
    /// Adds an f32 input; a dimension of -1 is left open, under the name `N`.
    pub fn input(self, name: &str, shape: &[i64]) -> Self {
        self.input_of_type(name, DataType::Float, shape)
    }

    /// Adds an input of any type.
    pub fn input_of_type(mut self, name: &str, data_type: DataType, shape: &[i64]) -> Self {
        self.graph.input.push(value(name, data_type, shape));
        self
    }

    /// Adds an f32 output that a node computes.
    pub fn output(mut self, name: &str, shape: &[i64]) -> Self {
        self.graph.output.push(value(name, DataType::Float, shape));
        self
    }

    /// Adds an f32 weight.
    pub fn weight(mut self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: shape.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    /// Adds an i64 weight, such as the shape that `Reshape` asks for.
    pub fn indices(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    /// Adds a node with one output.
    pub fn node(
        mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) -> Self {
        self.graph.node.push(NodeProto {
            name: format!("{operator}_{output}"),
            op_type: operator.to_owned(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.to_owned()],
            attribute: attributes
                .iter()
                .map(|(name, value)| attribute(name, value))
                .collect(),
            ..NodeProto::default()
        });
        self
    }

    /// The model, to be changed by hand.
    pub fn into_model(self) -> ModelProto {
        ModelProto {
            ir_version: 8,
            producer_name: "test".to_owned(),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 13,
            }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }

    /// The file's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.into_model().encode_to_vec()
    }

    /// Writes the file.
    pub fn write(self, path: &Path) {
        fs::write(path, self.into_bytes()).unwrap();
    }
}

fn value(name: &str, data_type: DataType, shape: &[i64]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|&size| Dimension {
            value: Some(match size {
                -1 => dimension::Value::DimParam("N".to_owned()),
                size => dimension::Value::DimValue(size),
            }),
            ..Dimension::default()
        })
        .collect();
    let tensor = type_proto::Tensor {
        elem_type: data_type as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    let kind = match *value {
        Attribute::Int(number) => {
            proto.i = number;
            AttributeType::Int
        }
        Attribute::Ints(numbers) => {
            proto.ints = numbers.to_vec();
            AttributeType::Ints
        }
    };
    proto.r#type = kind as i32;
    proto
}
