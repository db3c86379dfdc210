package firesteel.model

import firesteel.data.{ColumnResolver, DataPlan, ElementType, InputRequest}
import firesteel.network.{Network, NetworkJson}
import firesteel.plugin.Configuration
import firesteel.prediction.{OutputColumn, OutputKind, Predictions, Predictor, SingleRow}
import firesteel.summary.TrainingSummary
import firesteel.util.Json
import org.apache.spark.ml.firesteel.HasNetworkSummary
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.Params
import org.apache.spark.sql.{DataFrame, Dataset}
import org.json4s.JsonAST.{JArray, JDouble, JInt, JObject, JString}

import java.nio.file.{Files, Paths}

/** The base of fitted models: their content and their predictions. */
private[firesteel] trait TrainedModel extends Params with HasNetworkSummary[TrainingSummary] {

  private[firesteel] def fitted: FittedNetwork

  /** The name of the prediction task in a `PredictorSpec`. */
  private[firesteel] def task: String

  /** The trained network, without its weights. */
  def network: Network = fitted.network

  /** The summary of the fit. */
  override def summary: TrainingSummary = fitted.summary

  /** The weights as safetensors, named as in PyTorch's `state_dict`. */
  def weights: Array[Byte] = fitted.bytes.clone()

  /** Writes the weights to a local file, as safetensors. Python reads them so: Py4J takes seconds for megabytes. */
  private[firesteel] def writeWeights(path: String): Unit = {
    val _ = Files.write(Paths.get(path), fitted.bytes)
  }

  /** Returns the data with a further column for each of `columns`.
    *
    * @param requests
    *   the columns to read, for each of the network's inputs
    * @param thresholds
    *   the thresholds of a classifier, or none
    */
  protected final def append(
      dataset: Dataset[_],
      requests: Seq[InputRequest],
      columns: Seq[OutputColumn],
      thresholds: Seq[Double] = Nil
  ): DataFrame = {
    val inputs = fitted.inputs.zip(requests).map { case (input, request) =>
      input.copy(columns = request.columns, scale = request.scale)
    }
    val data = ColumnResolver.forPrediction(dataset.schema, inputs)
    val threads = Configuration.Threads.get(dataset.sparkSession.sparkContext.getConf)
    val kinds = columns.map(_.kind)
    val predictor = Predictor(specification(threads, thresholds), data, fitted.weights, kinds)
    Predictions.append(dataset.toDF(), predictor, columns)
  }

  /** Returns the network's output for one row, outside any query.
    *
    * @param features
    *   the values of the network's one input
    * @param column
    *   the name of the input's column, for error messages
    * @param scale
    *   the factor of each value
    */
  protected final def ofRow(
      features: Vector,
      column: String,
      scale: Double,
      kind: OutputKind
  ): Array[Double] = {
    require(
      features.size == fitted.inputSize,
      s"$uid reads ${fitted.inputSize} features, not ${features.size}"
    )
    // The features are a vector here, independent of the columns of the fit.
    val inputs = fitted.inputs.map(
      _.copy(columns = Seq(column), element = ElementType.F32, scale = scale)
    )
    val predictor =
      Predictor(specification(1, Nil), DataPlan(inputs), fitted.weights, Seq(kind))
    SingleRow.predict(predictor, features)
  }

  /** Returns the `PredictorSpec` without weights, data and outputs. */
  private def specification(threads: Int, thresholds: Seq[Double]): String = Json.text(
    JObject(
      "network" -> NetworkJson.specification(network),
      "task" -> JString(task),
      "thresholds" -> JArray(thresholds.map(JDouble(_)).toList),
      "threads" -> JInt(threads)
    )
  )
}
