package org.apache.spark.ml.firesteel

import org.apache.spark.ml.PipelineStage
import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.ml.util.{DefaultParamsReader, DefaultParamsWriter, Instrumentation}
import org.apache.spark.sql.{Dataset, SparkSession}

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

  /** Runs a fit under the log that Spark's own estimators keep: data set, parameters, success or failure. */
  def instrumented[R](stage: PipelineStage, dataset: Dataset[_], params: Seq[Param[_]])(
      body: => R
  ): R =
    Instrumentation.instrumented { instrumentation =>
      instrumentation.logPipelineStage(stage)
      instrumentation.logDataset(dataset)
      instrumentation.logParams(stage, params: _*)
      body
    }
}
