package firesteel.params

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.network.Network
import org.apache.spark.sql.types.{BinaryType, StructType}

/** What an estimator or a model asks of the columns that feed a network. */
private[firesteel] trait InputRequests extends FeatureParams {

  /** The one input of a network as these parameters and this schema describe it. */
  private[firesteel] final def inputRequest(network: Network, schema: StructType): InputRequest = {
    require(
      network.inputs.size == 1,
      s"the network has ${network.inputs.size} inputs (${network.inputs.mkString(", ")}); " +
        s"${getClass.getSimpleName} feeds networks of one input"
    )
    val input = network.inputs.head
    val columns = featureColumns
    val scale = get(featuresScale).getOrElse {
      // Columns that make up an input together are numbers.
      if (columns.size == 1) InputRequests.scaleOf(schema, columns.head) else 1.0
    }
    InputRequest(input, columns, network.inputShapes.get(input), scale)
  }
}

private[firesteel] object InputRequests {

  /** Brings bytes into 0 to 1. */
  private val ByteScale: Double = 1.0 / 255

  /** What the values of a column are multiplied with unless the user says otherwise. */
  def scaleOf(schema: StructType, column: String): Double =
    if (ColumnResolver.field(schema, column).dataType == BinaryType) ByteScale else 1.0
}
