package firesteel.params

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.network.Network
import org.apache.spark.sql.types.{BinaryType, StructType}

/** What an estimator or a model asks of the columns that feed a network. */
trait InputRequests extends FeatureParams {

  /** The one input of a network as these parameters and this schema describe it. */
  private[firesteel] final def inputRequest(network: Network, schema: StructType): InputRequest = {
    require(
      network.inputs.size == 1,
      s"the network has ${network.inputs.size} inputs (${network.inputs.mkString(", ")}); " +
        s"${getClass.getSimpleName} feeds networks of one input"
    )
    val input = network.inputs.head
    val columns = featureColumns
    InputRequest(input, columns, network.inputShapes.get(input), scaleOf(columns, schema))
  }

  /** The scale that is set, or that of the columns' type. */
  private def scaleOf(columns: Seq[String], schema: StructType): Double =
    get(featuresScale).getOrElse {
      val binary = columns.size == 1 &&
        ColumnResolver.field(schema, columns.head).dataType == BinaryType
      if (binary) InputRequests.ByteScale else 1.0
    }
}

private[firesteel] object InputRequests {

  /** Brings bytes into 0 to 1. */
  val ByteScale: Double = 1.0 / 255
}
