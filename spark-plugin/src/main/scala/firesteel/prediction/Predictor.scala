package firesteel.prediction

import firesteel.data.DataPlan
import firesteel.util.Sha256
import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.types.{DataType, DoubleType}
import org.json4s._
import org.json4s.jackson.JsonMethods.{compact, parse, render}

/** An output of a predictor for each row.
  *
  * @param name
  *   the name in the `outputs` of a `PredictorSpec`, and of the column in the native batch
  * @param dataType
  *   the type of its column
  */
private[firesteel] sealed abstract class OutputKind(val name: String, val dataType: DataType)
    extends Serializable {

  /** The `PredictionColumn` as a JSON value. */
  def json: JValue = JString(name)
}

private[firesteel] object OutputKind {

  /** The network's outputs before the activation: a vector. */
  case object RawPrediction extends OutputKind("rawPrediction", VectorType)

  /** The probability of each class: a vector. */
  case object Probability extends OutputKind("probability", VectorType)

  /** The class index, or the value of a regression: a double. */
  case object Prediction extends OutputKind("prediction", DoubleType)

  /** The values of a regression with several outputs: a vector. */
  case object Predictions extends OutputKind("prediction", VectorType)

  /** An output of a network with any number of outputs, after its activation: a double if it has one value, else a
    * vector.
    *
    * @param index
    *   the index of the output
    * @param size
    *   the number of its values
    */
  final case class NetworkOutput(index: Int, size: Int)
      extends OutputKind(s"output$index", if (size == 1) DoubleType else VectorType) {
    override def json: JValue = JObject("output" -> JInt(index))
  }
}

/** A model's weights, shared by all its transforms. They are broadcast when a plan is first executed, and the broadcast
  * is released with the last plan that uses it.
  *
  * @param bytes
  *   the weights in safetensors; never changed
  * @param module
  *   the archive of a TorchScript network, which accompanies the weights
  */
private[firesteel] final class ModelWeights(bytes: Array[Byte], module: Option[Array[Byte]] = None)
    extends Serializable {

  /** The SHA-256 of the weights in hexadecimal digits. */
  lazy val hash: String = Sha256.hex(bytes)

  @transient private var sent: Option[(SparkContext, Broadcast[ModelBytes])] = None

  /** The weights in this process. */
  private[prediction] def local: ModelBytes = ModelBytes(bytes, module)

  /** The broadcast weights of this context. */
  private[prediction] def broadcast(context: SparkContext): Broadcast[ModelBytes] =
    synchronized {
      sent match {
        case Some((owner, broadcast)) if owner eq context => broadcast
        case _ => // also null, after a copy by serialization
          val broadcast = context.broadcast(local)
          sent = Some(context -> broadcast)
          broadcast
      }
    }
}

/** The broadcast part of a model.
  *
  * @param weights
  *   the weights in safetensors
  * @param module
  *   the archive of a TorchScript network
  */
private[prediction] final case class ModelBytes(weights: Array[Byte], module: Option[Array[Byte]])

/** A predictor in a query plan. Two are equal if they give the same values for the same rows. They are compared by
  * content, so that a refitted model never reads another model's cached rows.
  *
  * @param spec
  *   the `PredictorSpec` of `native/core` as a JSON object, without `weights`, `data` and `outputs`
  * @param data
  *   the columns to read, without labels
  * @param weights
  *   the weights; equal by their hash
  * @param outputs
  *   the outputs, in the order of the new columns
  */
private[firesteel] final class Predictor private (
    private[prediction] val spec: String,
    val data: DataPlan,
    @transient private[prediction] val weights: ModelWeights,
    val outputs: Seq[OutputKind]
) extends Serializable {

  // Some of Spark's operators send the plan below them to the executors; weights go by broadcast.
  private val hash = weights.hash

  /** Returns the same predictor with fewer outputs. */
  private[prediction] def withOutputs(kept: Seq[OutputKind]): Predictor =
    new Predictor(spec, data, weights, kept)

  /** Returns the complete `PredictorSpec` as JSON. */
  private[prediction] def toJson: String = {
    val own = parse(spec) match {
      case fields: JObject => fields
      case _ => throw new IllegalArgumentException("a PredictorSpec is a JSON object")
    }
    val added = JObject(
      "weights" -> JString(hash),
      "data" -> data.json,
      "outputs" -> JArray(outputs.map(_.json).toList)
    )
    compact(render(own.merge(added)))
  }

  private def identity: (String, String, DataPlan, Seq[OutputKind]) =
    (spec, hash, data, outputs)

  override def equals(other: Any): Boolean = other match {
    case that: Predictor => identity == that.identity
    case _ => false
  }

  override def hashCode: Int = identity.hashCode

  override def toString: String =
    s"Predictor(${hash.take(12)}, ${outputs.map(_.name).mkString(", ")})"
}

private[firesteel] object Predictor {

  /** Returns a predictor; see the class. */
  def apply(
      spec: String,
      data: DataPlan,
      weights: ModelWeights,
      outputs: Seq[OutputKind]
  ): Predictor = new Predictor(spec, data, weights, outputs)
}
