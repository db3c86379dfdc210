package firesteel.estimator

import scala.jdk.CollectionConverters._

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.network.{Inspection, Network, NetworkJson}
import firesteel.params.InputRequests
import firesteel.plugin.Configuration
import firesteel.prediction.{ModelWeights, OutputColumn, OutputKind, Predictions, Predictor}
import firesteel.util.Json
import org.apache.spark.ml.functions.array_to_vector
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.array
import org.json4s.JsonAST.{JArray, JInt, JObject, JString}

/** Predictions of a network with weights, trained anywhere. */
private[firesteel] object NetworkPredictor {

  /** Returns the DataFrame with the network's outputs for each row, a column of vectors for each output.
    *
    * @param df
    *   any DataFrame, batch or, where the sizes of all columns are known, streaming
    * @param network
    *   a network with weights
    * @param features
    *   a column for each of the network's inputs, in order: a vector, an array of numbers, binary (whose bytes are
    *   scaled to 0 to 1) or one number
    * @param outputs
    *   the names of the new columns, one for each of the network's outputs, in order
    * @throws java.lang.IllegalArgumentException
    *   naming the column that is missing or has another type or size, or when the network has no weights or another
    *   number of inputs or outputs
    * @throws firesteel.bridge.InvalidDataException
    *   naming the tensor that is not the network's
    */
  def append(
      df: DataFrame,
      network: Network,
      features: Seq[String],
      outputs: Seq[String]
  ): DataFrame = {
    val weights = network.initialWeights.getOrElse(
      throw new IllegalArgumentException(
        "the network has no weights to predict with; set them with withWeights"
      )
    )
    require(
      features.size == network.inputs.size,
      s"the network has ${network.inputs.size} inputs (${network.inputs.mkString(", ")}), but there are " +
        s"${features.size} columns of features (${features.mkString(", ")})"
    )
    require(
      outputs.size == network.outputs.size,
      s"the network has ${network.outputs.size} outputs (${network.outputs.mkString(", ")}), but there are " +
        s"${outputs.size} output columns (${outputs.mkString(", ")})"
    )
    val requests = network.inputs.zip(features).map { case (input, column) =>
      val scale = InputRequests.scaleOf(df.schema, column)
      InputRequest(input, Seq(column), network.inputShapes.get(input), scale)
    }
    val data = ColumnResolver.resolve(df, requests, Nil)
    val sizes = Inspection.of(network, data.inputs).outputs.map(_.size)
    Inspection.checkWeights(network, data.inputs, weights)
    val columns = outputs.zip(sizes).zipWithIndex.map { case ((name, size), index) =>
      OutputColumn(name, OutputKind.NetworkOutput(index, size))
    }
    val threads = Configuration.Threads.get(df.sparkSession.sparkContext.getConf)
    val specification = JObject(
      "network" -> NetworkJson.specification(network),
      "task" -> JString("outputs"),
      "thresholds" -> JArray(Nil),
      "threads" -> JInt(threads)
    )
    val shared = new ModelWeights(weights.toBytes, network.module.map(_.bytes))
    val predictor = Predictor(Json.text(specification), data, shared, columns.map(_.kind))
    val predicted = Predictions.append(df, predictor, columns)
    outputs.zip(sizes).filter(_._2 == 1).foldLeft(predicted) { case (before, (name, _)) =>
      before.withColumn(name, array_to_vector(array(ColumnResolver.quoted(before, name))))
    }
  }

  /** [[append]] for Python.
    *
    * @param network
    *   the JSON of the network
    */
  def append(
      df: DataFrame,
      network: String,
      features: java.util.List[String],
      outputs: java.util.List[String]
  ): DataFrame =
    append(df, Network.fromJson(network), features.asScala.toSeq, outputs.asScala.toSeq)
}
