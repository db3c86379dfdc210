package org.apache.spark.ml.firesteel

import java.io.File

import org.apache.spark.ml.PipelineStage
import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.ml.util.{ DefaultParamsReader, DefaultParamsWriter, HasTrainingSummary, Instrumentation, ReadWriteUtils }
import org.apache.spark.sql.SparkSession

/** All use of what Spark keeps private to its package `ml`. */
object MlPrivate {

  /** Writes the class, uid and parameters of a stage to `path/metadata`. */
  def saveMetadata(instance: Params, path: String, session: SparkSession): Unit =
    DefaultParamsWriter.saveMetadata(instance, path, session)

  /** Reads what [[saveMetadata]] wrote: the uid, and what sets the parameters of an instance with this uid.
    *
    * @throws java.lang.IllegalArgumentException
    *   when it is the metadata of another class
    */
  def loadMetadata(
      path: String,
      session: SparkSession,
      className: String
  ): (String, Params => Unit) = {
    val metadata = DefaultParamsReader.loadMetadata(path, session, className)
    (metadata.uid, instance => metadata.getAndSetParams(instance))
  }

  /** Where a stage's own files are, given the path that a writer or reader was called with: on the driver's disk while
    * Spark Connect's cache of models puts one out of memory there or takes it back, else where the path says.
    */
  def location(path: String): String =
    if (ReadWriteUtils.localSavingModeState.get()) new File(path).toURI.toString else path

  /** Runs a fit under the log that Spark's own estimators keep: stage, parameters, success or failure. Not the data set:
    * for its number of partitions, `logDataset` plans the whole query once more and compiles a deserializer of its rows.
    */
  def instrumented[R](stage: PipelineStage, params: Seq[Param[_]])(body: => R): R =
    Instrumentation.instrumented { instrumentation =>
      instrumentation.logPipelineStage(stage)
      instrumentation.logParams(stage, params: _*)
      body
    }
}

/** A model whose summary the clients of Spark Connect may ask for. The summary is a part of the model, which is saved and
  * loaded with it.
  */
trait HasNetworkSummary[T] extends HasTrainingSummary[T] {
  final override def hasSummary: Boolean = true
  final override def saveSummary(path: String): Unit = ()
}
