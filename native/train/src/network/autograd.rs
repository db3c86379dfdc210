//! Networks by libtorch's autograd, with the gradient in one flat buffer.
//!
//! Autograd is asked for the gradients of the Linear layers' outputs and of the other layers' parameters. A Linear layer's
//! own gradient is one product, written straight into the flat buffer; the others' are copied there.

use firesteel_core::{Element, Tally};
use tch::{Tensor, no_grad_guard};

use super::forward::{Plan, Product, Tape};
use super::{Batch, Network, Replica, Views};
use crate::error::TrainError;
use crate::graph::{Graph, Layer};
use crate::loss::{self, Loss, Weights};
use crate::raw::{Memory, dimension};

/// A network that trains.
pub(crate) struct Autograd {
    plan: Plan,
    loss: Loss,
    gradient: Memory<f32>,
    /// The gradient's tensors, by the layout's entries; an empty one for each buffer.
    views: Vec<Tensor>,
    /// The parameters that autograd follows, as indices of the layout's entries.
    followed: Vec<usize>,
}

impl Autograd {
    pub(crate) fn new(graph: &Graph, loss: Loss) -> Result<Self, TrainError> {
        let gradient = Memory::zeros(graph.layout.parameters())?;
        let mut views = Vec::new();
        for entry in graph.layout.entries() {
            let shape = entry.shape.iter().map(|&length| dimension(length)).collect::<Result<Vec<_>, _>>()?;
            views.push(match entry.element {
                Element::Parameter => gradient.view(entry.offset, &shape)?,
                _ => Tensor::new(),
            });
        }
        let followed = graph
            .nodes
            .iter()
            .filter(|node| !matches!(node.layer, Layer::Linear { .. }))
            .flat_map(|node| node.tensors.clone())
            .filter(|&index| graph.layout.entries()[index].element == Element::Parameter)
            .collect();
        Ok(Self { plan: Plan::new(graph), loss, gradient, views, followed })
    }

    /// Writes the gradient of a Linear layer, from that of its output.
    fn write_product(&self, product: &Product, gradient: &Tensor) -> Result<(), TrainError> {
        gradient.f_transpose(0, 1)?.f_mm_out(&self.views[product.weight], &product.input)?;
        if product.bias {
            gradient.f_sum_intlist_out(&self.views[product.weight + 1], 0, false, None)?;
        }
        Ok(())
    }
}

impl Network for Autograd {
    fn forward(&self, views: &Views, inputs: &[&Tensor]) -> Result<Vec<Tensor>, TrainError> {
        let _guard = no_grad_guard();
        self.plan.run(views, inputs, None)
    }

    fn forward_backward(&mut self, replica: &mut Replica, batch: &Batch) -> Result<Tally, TrainError> {
        let inputs: Vec<&Tensor> = batch.inputs.iter().map(|column| column.tensor()).collect();
        let Replica { views, random, integers, .. } = replica;
        let mut tape = Tape { random, integers, products: Vec::new() };
        let outputs = self.plan.run(views, &inputs, Some(&mut tape))?;
        let weights = batch.weights.as_ref().map(|block| Weights {
            tensor: block.tensor(),
            sum: block.rows(batch.rows()).iter().copied().map(f64::from).sum(),
        });
        let labels = batch.labels.iter().map(|column| column.tensor());
        let loss = self.loss.of(&outputs, labels, weights)?;
        let products = tape.products;
        let wanted: Vec<&Tensor> = products
            .iter()
            .map(|product| &product.output)
            .chain(self.followed.iter().map(|&index| &views.0[index]))
            .collect();
        let gradients = Tensor::f_run_backward(&[&loss], &wanted, false, false)?;
        let _guard = no_grad_guard();
        let (of_outputs, of_parameters) = gradients.split_at(products.len());
        for (product, gradient) in products.iter().zip(of_outputs) {
            self.write_product(product, gradient)?;
        }
        for (&index, gradient) in self.followed.iter().zip(of_parameters) {
            self.views[index].f_copy_(gradient)?;
        }
        loss::tally(&loss, weights.map_or(batch.rows() as f64, |weights| weights.sum))
    }

    fn gradient(&self) -> &[f32] {
        self.gradient.slice()
    }
}
