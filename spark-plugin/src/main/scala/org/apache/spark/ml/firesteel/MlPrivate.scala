package org.apache.spark.ml.firesteel

import java.io.File

import scala.util.Try

import org.apache.spark.ml.PipelineStage
import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.ml.util.{
  DefaultParamsReader,
  DefaultParamsWriter,
  HasTrainingSummary,
  Instrumentation,
  ReadWriteUtils
}
import org.apache.spark.sql.SparkSession

/** All uses of Spark's API that is private to its package `ml`. */
object MlPrivate {

  /** Writes the class, uid and parameters of a stage to `path/metadata`. */
  def saveMetadata(instance: Params, path: String, session: SparkSession): Unit =
    DefaultParamsWriter.saveMetadata(instance, path, session)

  /** Reads the metadata that [[saveMetadata]] wrote; returns the uid and a function that sets the parameters of an
    * instance with this uid.
    *
    * @throws java.lang.IllegalArgumentException
    *   when the metadata is that of another class
    */
  def loadMetadata(
      path: String,
      session: SparkSession,
      className: String
  ): (String, Params => Unit) = {
    val metadata = DefaultParamsReader.loadMetadata(path, session, className)
    (metadata.uid, instance => metadata.getAndSetParams(instance))
  }

  /** Returns the location of a stage's own files, given the path of its writer or reader: on the driver's disk while
    * Spark Connect's cache of models saves or restores a model there, else the path itself.
    */
  def location(path: String): String =
    if (canSaveLocally && ReadWriteUtils.localSavingModeState.get()) new File(path).toURI.toString
    else path

  /** True on Spark 4.1 and later: 4.0 has no cache of models on disk, and no such class. */
  private lazy val canSaveLocally: Boolean =
    Try(Class.forName("org.apache.spark.ml.util.ReadWriteUtils")).isSuccess

  /** Runs a fit with the log of Spark's own estimators: stage, parameters, success or failure. The data set is not
    * logged: for its number of partitions, `logDataset` plans the whole query once more and compiles a deserializer of
    * its rows.
    */
  def instrumented[R](stage: PipelineStage, params: Seq[Param[_]])(body: => R): R =
    Instrumentation.instrumented { instrumentation =>
      instrumentation.logPipelineStage(stage)
      instrumentation.logParams(stage, params: _*)
      body
    }
}

/** A model with a summary that clients of Spark Connect may read. The summary is saved and loaded as a part of the
  * model.
  */
trait HasNetworkSummary[T] extends HasTrainingSummary[T] {
  final override def hasSummary: Boolean = true
  final override def saveSummary(path: String): Unit = ()
}
