package firesteel.model

import firesteel.data.InputColumn
import firesteel.network.{Network, OutputInspection}
import firesteel.prediction.ModelWeights
import firesteel.summary.TrainingSummary

/** The content of a fitted model, shared by its copies.
  *
  * @param network
  *   the network
  * @param inputs
  *   the network's inputs with the shapes that they had in the fit
  * @param outputs
  *   the network's outputs
  * @param bytes
  *   the weights as safetensors
  * @param summary
  *   the summary of the fit
  */
private[firesteel] final class FittedNetwork(
    val network: Network,
    val inputs: Seq[InputColumn],
    val outputs: Seq[OutputInspection],
    val bytes: Array[Byte],
    val summary: TrainingSummary
) extends Serializable {

  /** The weights in the form that predictors share. */
  val weights: ModelWeights = new ModelWeights(bytes, network.module.map(_.bytes))

  /** The only output of a network with one output. */
  def output: OutputInspection = outputs.head

  /** The number of values of a row, over all inputs. */
  def inputSize: Int = inputs.map(_.size).sum
}

private[firesteel] object FittedNetwork {

  /** Fails. For the constructors of models without arguments, which Java's service loader requires. Spark Connect looks
    * models up there and never calls these constructors.
    */
  def none: FittedNetwork =
    throw new UnsupportedOperationException("create a model by fit or load")
}
