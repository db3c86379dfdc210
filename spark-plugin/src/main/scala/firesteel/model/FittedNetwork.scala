package firesteel.model

import firesteel.data.InputColumn
import firesteel.network.{Network, OutputInspection}
import firesteel.prediction.ModelWeights
import firesteel.summary.TrainingSummary

/** What every fitted model holds, shared by its copies.
  *
  * @param network
  *   the network
  * @param inputs
  *   the network's inputs with their shapes, as they were in the fit
  * @param outputs
  *   the network's outputs
  * @param bytes
  *   its weights as safetensors
  * @param summary
  *   what happened in the fit
  */
private[firesteel] final class FittedNetwork(
    val network: Network,
    val inputs: Seq[InputColumn],
    val outputs: Seq[OutputInspection],
    val bytes: Array[Byte],
    val summary: TrainingSummary
) extends Serializable {

  /** The weights, as predictors share them. */
  val weights: ModelWeights = new ModelWeights(bytes, network.module.map(_.bytes))

  /** The output of a network that has one. */
  def output: OutputInspection = outputs.head

  /** The values of a row, over all inputs. */
  def inputSize: Int = inputs.map(_.size).sum
}

private[firesteel] object FittedNetwork {

  /** For the constructors of models without arguments, which Java's service loader wants to see and Spark Connect, which
    * looks models up there, never calls.
    */
  def none: FittedNetwork =
    throw new UnsupportedOperationException("a model is made by fit or by load")
}
