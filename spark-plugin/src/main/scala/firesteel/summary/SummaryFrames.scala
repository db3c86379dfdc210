package firesteel.summary

import org.apache.spark.sql.{DataFrame, SparkSession}

/** The parts of a summary as DataFrames. */
private[firesteel] object SummaryFrames {

  def history(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(summary.epochs.map { epoch =>
      HistoryRow(
        epoch.epoch,
        Some(epoch.loss),
        epoch.rows,
        epoch.learningRate,
        epoch.validation.flatMap(_.loss),
        epoch.validation.map(_.rows),
        metrics(epoch.validation)
      )
    })

  def workerHistory(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(summary.ledger.map { entry =>
      WorkerHistoryRow(
        entry.partition,
        entry.index,
        entry.epoch,
        entry.loss,
        entry.rows,
        entry.learningRate,
        entry.validation.flatMap(_.loss),
        entry.validation.map(_.rows),
        metrics(entry.validation)
      )
    })

  def workerTotals(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(summary.byWorker)

  def taskTotals(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(summary.byTask)

  def fitTotals(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(
      Seq(
        FitTotalsRow(
          summary.seconds,
          summary.rowsTrained,
          summary.rowsPerSecond,
          summary.workers,
          summary.tasks,
          summary.commits,
          summary.bytes,
          summary.stalenessMean,
          summary.stalenessMax,
          summary.compressionRatio,
          summary.compressionError,
          summary.bestEpoch,
          summary.stopped
        )
      )
    )

  def stalenessCounts(summary: TrainingSummary, spark: SparkSession): DataFrame =
    spark.createDataFrame(summary.stalenessHistogram.zipWithIndex.map { case (commits, staleness) =>
      StalenessRow(staleness, commits)
    })

  private def metrics(validation: Option[ValidationSummary]): Map[String, Double] =
    validation.toSeq.flatMap(_.metrics).flatMap(m => m.value.map(m.name -> _)).toMap
}

private[firesteel] final case class HistoryRow(
    epoch: Int,
    loss: Option[Double],
    rows: Long,
    learningRate: Option[Double],
    validationLoss: Option[Double],
    validationRows: Option[Long],
    metrics: Map[String, Double]
)

private[firesteel] final case class WorkerHistoryRow(
    partition: Int,
    index: Int,
    epoch: Int,
    loss: Option[Double],
    rows: Long,
    learningRate: Option[Double],
    validationLoss: Option[Double],
    validationRows: Option[Long],
    metrics: Map[String, Double]
)

private[firesteel] final case class FitTotalsRow(
    seconds: Double,
    rowsTrained: Long,
    rowsPerSecond: Double,
    workers: Int,
    tasks: Int,
    commits: Long,
    bytes: Long,
    stalenessMean: Double,
    stalenessMax: Long,
    compressionRatio: Double,
    compressionError: Double,
    bestEpoch: Option[Int],
    stopped: Option[String]
)

private[firesteel] final case class StalenessRow(staleness: Int, commits: Long)
