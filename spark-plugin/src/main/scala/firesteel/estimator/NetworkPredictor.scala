package firesteel.estimator

import scala.jdk.CollectionConverters._

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.network.{Network, NetworkJson}
import firesteel.params.InputRequests
import firesteel.plugin.Configuration
import firesteel.prediction.{ModelWeights, OutputColumn, OutputKind, Predictions, Predictor}
import firesteel.train.{FitPlan, Inspection}
import org.apache.spark.ml.functions.array_to_vector
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.array
import org.apache.spark.sql.types.BinaryType
import org.json4s.JsonAST.{JArray, JInt, JObject, JString}

/** Predicts with a network that has its weights, wherever they were trained. */
object NetworkPredictor {

  /** The DataFrame with what the network gives for each row in a column more, as a vector.
    *
    * @param df
    *   any DataFrame, batch or, where the sizes of all columns are known, streaming
    * @param network
    *   a network of one output, with weights
    * @param features
    *   a column for each of the network's inputs, in order: a vector, an array of numbers, binary (of which bytes become 0
    *   to 1) or one number
    * @param output
    *   the name of the new column
    * @throws java.lang.IllegalArgumentException
    *   naming the column that is missing or has another type or size, or when the network has no weights or several outputs
    * @throws firesteel.bridge.InvalidDataException
    *   naming the tensor that is not the network's
    */
  def append(df: DataFrame, network: Network, features: Seq[String], output: String): DataFrame = {
    val weights = network.start.getOrElse(
      throw new IllegalArgumentException("the network has no weights to predict with")
    )
    require(
      features.size == network.inputs.size,
      s"the network has ${network.inputs.size} inputs (${network.inputs.mkString(", ")}), but there are " +
        s"${features.size} columns of features (${features.mkString(", ")})"
    )
    val requests = network.inputs.zip(features).map { case (input, column) =>
      val bytes = ColumnResolver.field(df.schema, column).dataType == BinaryType
      val scale = if (bytes) InputRequests.ByteScale else 1.0
      InputRequest(input, Seq(column), network.inputShapes.get(input), scale)
    }
    val data = ColumnResolver.resolve(df, requests, Nil)
    val outputs = Inspection.of(network, data.inputs).outputs
    require(
      outputs.size == 1,
      s"the network has ${outputs.size} outputs (${outputs.map(_.name).mkString(", ")}); a prediction needs one"
    )
    Inspection.checkWeights(network, data.inputs, weights)
    val one = outputs.head.shape.product == 1
    val kind = if (one) OutputKind.Prediction else OutputKind.Predictions
    val threads = Configuration.Threads.get(df.sparkSession.sparkContext.getConf)
    val specification = JObject(
      "network" -> NetworkJson.specification(network),
      "task" -> JString("regression"),
      "thresholds" -> JArray(Nil),
      "threads" -> JInt(threads)
    )
    val shared = new ModelWeights(weights.toBytes, network.module.map(_.bytes))
    val predictor = Predictor(FitPlan.text(specification), data, shared, Seq(kind))
    val predicted = Predictions.append(df, predictor, Seq(OutputColumn(output, kind)))
    if (!one) predicted
    else {
      val number = ColumnResolver.quoted(predicted, output)
      predicted.withColumn(output, array_to_vector(array(number)))
    }
  }

  /** [[append]] for Python.
    *
    * @param network
    *   its JSON
    */
  def append(
      df: DataFrame,
      network: String,
      features: java.util.List[String],
      output: String
  ): DataFrame = append(df, Network.fromJson(network), features.asScala.toSeq, output)
}
