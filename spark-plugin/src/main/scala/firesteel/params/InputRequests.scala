package firesteel.params

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.network.Network
import org.apache.spark.sql.types.{BinaryType, StructType}

/** The input of estimators and models with one input. */
private[firesteel] trait InputRequests extends FeatureParams {

  /** Returns the request for the network's one input, by these parameters and this schema. */
  private[firesteel] final def inputRequest(network: Network, schema: StructType): InputRequest = {
    require(
      network.inputs.size == 1,
      s"the network has ${network.inputs.size} inputs (${network.inputs.mkString(", ")}); " +
        s"${getClass.getSimpleName} supports networks with one input"
    )
    val input = network.inputs.head
    val columns = featureColumns
    val scale = get(featuresScale).getOrElse {
      // Several columns of one input are numeric.
      if (columns.size == 1) InputRequests.scaleOf(schema, columns.head) else 1.0
    }
    InputRequest(input, columns, network.inputShapes.get(input), scale)
  }
}

private[firesteel] object InputRequests {

  /** The factor that scales bytes to 0 to 1. */
  private val ByteScale: Double = 1.0 / 255

  /** Returns the default factor of a column's values. */
  def scaleOf(schema: StructType, column: String): Double =
    if (ColumnResolver.field(schema, column).dataType == BinaryType) ByteScale else 1.0
}
