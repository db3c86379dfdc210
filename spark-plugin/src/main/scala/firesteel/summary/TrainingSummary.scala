package firesteel.summary

import org.apache.spark.ml.util.Identifiable
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.json4s.jackson.{JsonMethods, Serialization}
import org.json4s.{DefaultFormats, Formats}

/** What happened in a fit: as values, and as DataFrames of the active session.
  *
  * @param epochs
  *   loss and rows of each epoch
  * @param rowsTrained
  *   rows trained in all epochs
  * @param seconds
  *   how long the training job ran, reading the data included, and that of an interrupted fit which this one went on from
  * @param workers
  *   the workers of the fit
  * @param tasks
  *   the Spark tasks that they ran in
  * @param commits
  *   the updates that the parameter server applied, or the replicas it stored
  * @param bytes
  *   what the parameter server sent and received over sockets
  * @param stalenessMean
  *   how many updates of others a commit came after, at the mean
  * @param stalenessMax
  *   and at most
  * @param stalenessHistogram
  *   how many commits came after 0, 1, 2 and so on; the last entry that there can be is of 256 and more
  * @param ledger
  *   which mini-batches were applied, by worker and epoch
  * @param warnings
  *   what the user should know, such as signs that the model has not learnt
  * @param bestEpoch
  *   the best epoch by what early stopping watches, counted from 0; none where nothing is judged
  * @param stopped
  *   why the training ended before its last epoch, if it did: `patience`, `targetLoss`, `targetMetric`, `maxSeconds`;
  *   `diverged` of a candidate of a search
  * @param byWorker
  *   what each worker exchanged with the parameter server
  * @param byTask
  *   where the time of each task went
  * @param compressionRatio
  *   bytes of a commit's parameters as f32 by those that were sent; 1 without compression
  * @param compressionError
  *   the relative error of the commits' messages, the root mean square: what compression kept back for the next one by
  *   what was to be sent
  * @param decisions
  *   the settings that the fit chose itself, from the cluster's size and the data, a sentence each
  */
final case class TrainingSummary(
    epochs: Seq[EpochSummary],
    rowsTrained: Long,
    seconds: Double,
    workers: Int,
    tasks: Int,
    commits: Long,
    bytes: Long,
    stalenessMean: Double,
    stalenessMax: Long,
    stalenessHistogram: Seq[Long],
    ledger: Seq[LedgerEntry],
    warnings: Seq[String],
    bestEpoch: Option[Int] = None,
    stopped: Option[String] = None,
    byWorker: Seq[WorkerSummary] = Nil,
    byTask: Seq[TaskSummary] = Nil,
    compressionRatio: Double = 1,
    compressionError: Double = 0,
    decisions: Seq[String] = Nil
) extends Identifiable {

  /** The same for all; see [[toString]]. */
  override val uid: String = "trainingSummary"

  /** The summary as JSON. Clients of Spark Connect read it from here: this is what they may call, of what is
    * `Identifiable`.
    */
  override def toString: String = toJson

  /** The mean loss of each epoch. */
  def losses: Seq[Double] = epochs.map(_.loss)

  /** The mean loss of the validation rows after each epoch that was scored. */
  def validationLosses: Seq[Double] = epochs.flatMap(_.validation).flatMap(_.loss)

  /** A metric of the validation rows after each epoch for which it is defined. */
  def validationMetric(name: String): Seq[Double] =
    epochs.flatMap(_.validation).flatMap(_.metric(name))

  /** The rows trained in a second. */
  def rowsPerSecond: Double = rowsTrained.toDouble / seconds

  /** The averaged history, a row for each epoch: `epoch`, `loss`, `rows`, `learningRate`, `validationLoss`,
    * `validationRows`, and `metrics`, a map from a metric's name to its value. What is not known is null.
    */
  def history: DataFrame = SummaryFrames.history(this, SparkSession.active)

  /** The history of each worker, a row for each epoch of each: `partition`, `index`, then the columns of [[history]]. */
  def workerHistory: DataFrame = SummaryFrames.workerHistory(this, SparkSession.active)

  /** [[byWorker]], a row for each worker with the names of its fields. */
  def workerTotals: DataFrame = SummaryFrames.workerTotals(this, SparkSession.active)

  /** [[byTask]], a row for each task with the names of its fields. */
  def taskTotals: DataFrame = SummaryFrames.taskTotals(this, SparkSession.active)

  /** The totals of the whole fit, one row: `seconds`, `rowsTrained`, `rowsPerSecond`, `workers`, `tasks`, `commits`,
    * `bytes`, `stalenessMean`, `stalenessMax`, `compressionRatio`, `compressionError`, `bestEpoch` and `stopped`, as the
    * values of these names; the last two are null where there is none.
    */
  def fitTotals: DataFrame = SummaryFrames.fitTotals(this, SparkSession.active)

  /** [[stalenessHistogram]], a row for each of its entries: `staleness`, how many updates of others came before, and
    * `commits`, of how many commits.
    */
  def stalenessCounts: DataFrame = SummaryFrames.stalenessCounts(this, SparkSession.active)

  private[firesteel] def toJson: String = Serialization.write(this)(TrainingSummary.formats)
}

/** One pass over the data.
  *
  * @param epoch
  *   counted from 0
  * @param loss
  *   the mean of the rows' losses by their weights, each taken when the row was trained
  * @param rows
  *   the rows trained
  * @param learningRate
  *   the mean of the workers' learning rates at its end
  * @param validation
  *   what the validation rows came to at its end, if there are any
  */
final case class EpochSummary(
    epoch: Int,
    loss: Double,
    rows: Long,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

/** What one worker exchanged with the parameter server, over all of its attempts.
  *
  * @param partition
  *   the worker's partition
  * @param index
  *   which of the workers that share the partition's task
  * @param rows
  *   the rows trained in all epochs
  * @param commits
  *   its updates, or the replicas it saved
  * @param stalenessMean
  *   how many updates of others a commit came after, at the mean
  * @param stalenessMax
  *   and at most
  * @param bytes
  *   what it sent and received over sockets
  * @param waitSeconds
  *   how long its commits and pulls waited in the server for those of others
  * @param applySeconds
  *   how long the server worked on them
  * @param compressionRatio
  *   as [[TrainingSummary.compressionRatio]]
  * @param compressionError
  *   as [[TrainingSummary.compressionError]]
  */
final case class WorkerSummary(
    partition: Int,
    index: Int,
    rows: Long,
    commits: Long,
    stalenessMean: Double,
    stalenessMax: Long,
    bytes: Long,
    waitSeconds: Double,
    applySeconds: Double,
    compressionRatio: Double,
    compressionError: Double
)

/** Where the time of one task went: of the attempt that finished, from the rows in native memory to the end.
  *
  * @param partition
  *   the partition
  * @param attempt
  *   Spark's `taskAttemptId`
  * @param workers
  *   the workers that it ran
  * @param seconds
  *   all of it
  * @param computeSeconds
  *   forward and backward passes, optimizer steps and update rules
  * @param gatherSeconds
  *   putting mini-batches together
  * @param evaluateSeconds
  *   scoring validation rows
  * @param waitSeconds
  *   waiting for the parameter server
  */
final case class TaskSummary(
    partition: Int,
    attempt: Long,
    workers: Int,
    seconds: Double,
    computeSeconds: Double,
    gatherSeconds: Double,
    evaluateSeconds: Double,
    waitSeconds: Double
)

/** What validation rows came to.
  *
  * @param version
  *   how often the center variable that was scored had been updated
  * @param rows
  *   the rows
  * @param loss
  *   the mean of their losses by their weights; none where they weigh nothing
  * @param metrics
  *   the metrics that were asked for
  */
final case class ValidationSummary(
    version: Long,
    rows: Long,
    loss: Option[Double],
    metrics: Seq[MetricSummary]
) {

  /** The value of a metric, if it was asked for and is defined. */
  def metric(name: String): Option[Double] = metrics.find(_.name == name).flatMap(_.value)
}

/** What a metric came to.
  *
  * @param name
  *   `accuracy` and the like; of several outputs `<output>_<metric>`, and `<output>_loss` for the output's own loss
  * @param value
  *   none where it is undefined, such as the AUC of rows of one class, and for a confusion matrix
  * @param errorBound
  *   how far the value may be from the exact one, of the AUC
  * @param matrix
  *   the rows' weights by class and predicted class, of the confusion matrix
  */
final case class MetricSummary(
    name: String,
    value: Option[Double],
    errorBound: Option[Double] = None,
    matrix: Option[Seq[Seq[Double]]] = None
)

/** What of one epoch of one worker was applied.
  *
  * @param partition
  *   the worker's partition
  * @param index
  *   which of the workers that share the partition's task
  * @param epoch
  *   counted from 0
  * @param rows
  *   the rows applied
  * @param spans
  *   the mini-batches that each attempt applied, in order
  * @param supersededRows
  *   rows that had been applied when a retry brought other rows and the epoch started again
  * @param loss
  *   the mean of the rows' losses by their weights
  * @param learningRate
  *   that of the last mini-batch
  * @param validation
  *   what this worker's validation rows came to, if it has any
  */
final case class LedgerEntry(
    partition: Int,
    index: Int,
    epoch: Int,
    rows: Long,
    spans: Seq[LedgerSpan],
    supersededRows: Long,
    loss: Option[Double] = None,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

/** Consecutive mini-batches that one attempt of a task applied.
  *
  * @param attempt
  *   Spark's `taskAttemptId`; -1 stands for those of an interrupted fit which this one went on from
  * @param start
  *   the first mini-batch, counted from 0
  * @param batches
  *   how many
  * @param rows
  *   their rows
  */
final case class LedgerSpan(attempt: Long, start: Int, batches: Int, rows: Long)

private[firesteel] object TrainingSummary {
  private val formats: Formats = DefaultFormats

  def fromJson(json: String): TrainingSummary =
    JsonMethods.parse(json).extract[TrainingSummary](formats, implicitly)

  private[firesteel] def of(
      status: ServerStatus,
      kept: ServerSummary,
      reports: Seq[TaskReport],
      workers: Int,
      seconds: Double,
      warnings: Seq[String],
      decisions: Seq[String]
  ): TrainingSummary = TrainingSummary(
    for {
      (e, index) <- status.epochs.zipWithIndex
      // An epoch whose rows weigh nothing, as one that was cut short may, has no loss.
      loss <- e.loss
    } yield {
      // Those of the end hold the confusion matrices as well.
      val validation = kept.evaluations.lift(index).orElse(e.validation)
      EpochSummary(e.epoch, loss, e.rows, e.learningRate, validation)
    },
    status.rowsTrained,
    seconds + status.resumed.fold(0.0)(_.millis.toDouble / 1e3),
    workers,
    reports.size,
    status.commits,
    status.bytes,
    mean(status.workers.map(_.stalenessSum).sum, status.commits),
    status.workers.map(_.stalenessMax).maxOption.getOrElse(0L),
    kept.stalenessHistogram,
    kept.ledger,
    warnings ++ status.warnings,
    status.bestEpoch,
    status.stopped,
    status.workers.map(worker),
    reports.map(task).sortBy(_.partition),
    kept.compressionRatio,
    kept.compressionError,
    decisions
  )

  private def worker(status: WorkerStatus): WorkerSummary = WorkerSummary(
    status.partition,
    status.index,
    status.rows,
    status.commits,
    mean(status.stalenessSum, status.commits),
    status.stalenessMax,
    status.bytes,
    status.waitSeconds,
    status.applySeconds,
    status.compressionRatio,
    status.compressionError
  )

  private def task(report: TaskReport): TaskSummary = TaskSummary(
    report.partition,
    report.attempt,
    report.workers.size,
    report.seconds("total"),
    report.seconds("compute"),
    report.seconds("gather"),
    report.seconds("evaluate"),
    report.seconds("wait")
  )

  private def mean(sum: Long, count: Long): Double = sum.toDouble / math.max(1L, count).toDouble
}
