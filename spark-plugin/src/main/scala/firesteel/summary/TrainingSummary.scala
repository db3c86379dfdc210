package firesteel.summary

import org.apache.spark.ml.util.Identifiable
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.json4s.jackson.{JsonMethods, Serialization}
import org.json4s.{DefaultFormats, Formats}

/** The summary of a fit: as values, and as DataFrames of the active session.
  *
  * @param epochs
  *   loss and rows of each epoch
  * @param rowsTrained
  *   the number of rows trained in all epochs
  * @param seconds
  *   the duration of the training job, including reading the data, and that of the interrupted fit that this one
  *   resumed
  * @param workers
  *   the number of workers of the fit
  * @param tasks
  *   the number of Spark tasks of the workers
  * @param commits
  *   the number of updates that the parameter server applied, or of replicas that it stored
  * @param bytes
  *   the bytes that the parameter server sent and received over sockets
  * @param stalenessMean
  *   the mean staleness of a commit: the number of updates of other workers that it came after
  * @param stalenessMax
  *   the maximum staleness of a commit
  * @param stalenessHistogram
  *   the number of commits with a staleness of 0, 1, 2 and so on; the last possible entry counts 256 and more
  * @param ledger
  *   the mini-batches that were applied, by worker and epoch
  * @param warnings
  *   the warnings for the user, such as signs that the model has not learnt
  * @param bestEpoch
  *   the best epoch by the monitor of early stopping, counted from 0; none without a monitor
  * @param stopped
  *   the reason for which training stopped before its last epoch, if it did: `patience`, `targetLoss`, `targetMetric`,
  *   `maxSeconds`; `diverged` for a candidate of a search
  * @param byWorker
  *   the communication of each worker with the parameter server
  * @param byTask
  *   the time of each task by activity
  * @param compressionRatio
  *   the bytes of a commit's parameters as f32, divided by the bytes that were sent; 1 without compression
  * @param compressionError
  *   the relative error of the commits' messages, as a root mean square: the part that compression kept back for the
  *   next message, divided by the part to be sent
  * @param decisions
  *   the settings that the fit chose by the size of the cluster and the data, a sentence each
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

  /** The same uid for all summaries; see [[toString]]. */
  override val uid: String = "trainingSummary"

  /** Returns the summary as JSON. Clients of Spark Connect read the summary from here: of an `Identifiable` they may
    * call this method.
    */
  override def toString: String = toJson

  /** The mean loss of each epoch. */
  def losses: Seq[Double] = epochs.map(_.loss)

  /** The mean loss of the validation rows after each epoch that was scored. */
  def validationLosses: Seq[Double] = epochs.flatMap(_.validation).flatMap(_.loss)

  /** Returns a metric of the validation rows after each epoch for which it is defined. */
  def validationMetric(name: String): Seq[Double] =
    epochs.flatMap(_.validation).flatMap(_.metric(name))

  /** The number of rows trained in a second. */
  def rowsPerSecond: Double = rowsTrained.toDouble / seconds

  /** The averaged history, a row for each epoch: `epoch`, `loss`, `rows`, `learningRate`, `validationLoss`,
    * `validationRows`, and `metrics`, a map from a metric's name to its value. Unknown values are null.
    */
  def history: DataFrame = SummaryFrames.history(this, SparkSession.active)

  /** The history of each worker, a row for each of its epochs: `partition`, `index`, then the columns of [[history]]. */
  def workerHistory: DataFrame = SummaryFrames.workerHistory(this, SparkSession.active)

  /** [[byWorker]], a row for each worker with the names of its fields. */
  def workerTotals: DataFrame = SummaryFrames.workerTotals(this, SparkSession.active)

  /** [[byTask]], a row for each task with the names of its fields. */
  def taskTotals: DataFrame = SummaryFrames.taskTotals(this, SparkSession.active)

  /** The totals of the whole fit, one row: `seconds`, `rowsTrained`, `rowsPerSecond`, `workers`, `tasks`, `commits`,
    * `bytes`, `stalenessMean`, `stalenessMax`, `compressionRatio`, `compressionError`, `bestEpoch` and `stopped`, as
    * the values of these names; the last two may be null.
    */
  def fitTotals: DataFrame = SummaryFrames.fitTotals(this, SparkSession.active)

  /** [[stalenessHistogram]], a row for each entry: `staleness`, the number of updates of other workers before a commit,
    * and `commits`, the number of such commits.
    */
  def stalenessCounts: DataFrame = SummaryFrames.stalenessCounts(this, SparkSession.active)

  private[firesteel] def toJson: String = Serialization.write(this)(TrainingSummary.formats)
}

/** One pass over the data.
  *
  * @param epoch
  *   counted from 0
  * @param loss
  *   the weighted mean of the rows' losses, each computed when the row was trained
  * @param rows
  *   the number of rows trained
  * @param learningRate
  *   the mean of the workers' learning rates at its end
  * @param validation
  *   the scores of the validation rows at its end, if there are any
  */
final case class EpochSummary(
    epoch: Int,
    loss: Double,
    rows: Long,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

/** The communication of one worker with the parameter server, over all of its attempts.
  *
  * @param partition
  *   the worker's partition
  * @param index
  *   the index of the worker among those of the partition's task
  * @param rows
  *   the number of rows trained in all epochs
  * @param commits
  *   the number of its updates, or of the replicas that it saved
  * @param stalenessMean
  *   the mean staleness of a commit: the number of updates of other workers that it came after
  * @param stalenessMax
  *   the maximum staleness of a commit
  * @param bytes
  *   the bytes that it sent and received over sockets
  * @param waitSeconds
  *   the time that its commits and pulls waited in the server for those of other workers
  * @param applySeconds
  *   the time that the server took to apply them
  * @param compressionRatio
  *   see [[TrainingSummary.compressionRatio]]
  * @param compressionError
  *   see [[TrainingSummary.compressionError]]
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

/** The time of one task by activity: of the attempt that finished, after the rows were loaded.
  *
  * @param partition
  *   the partition
  * @param attempt
  *   Spark's `taskAttemptId`
  * @param workers
  *   the number of its workers
  * @param seconds
  *   the total time
  * @param computeSeconds
  *   forward and backward passes, optimizer steps and update rules
  * @param gatherSeconds
  *   assembling mini-batches
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

/** The scores of validation rows.
  *
  * @param version
  *   the number of updates of the center variable when it was scored
  * @param rows
  *   the number of rows
  * @param loss
  *   the weighted mean of their losses; none if the weights are 0
  * @param metrics
  *   the requested metrics
  */
final case class ValidationSummary(
    version: Long,
    rows: Long,
    loss: Option[Double],
    metrics: Seq[MetricSummary]
) {

  /** Returns the value of a metric, if it was requested and is defined. */
  def metric(name: String): Option[Double] = metrics.find(_.name == name).flatMap(_.value)
}

/** The value of a metric.
  *
  * @param name
  *   the name, such as `accuracy`; with several outputs `<output>_<metric>`, and `<output>_loss` for the output's own
  *   loss
  * @param value
  *   the value; none if it is undefined, such as the AUC of rows of one class, and for a confusion matrix
  * @param errorBound
  *   the maximum error of the value, for the AUC
  * @param matrix
  *   the confusion matrix: the rows' weights by class and predicted class
  */
final case class MetricSummary(
    name: String,
    value: Option[Double],
    errorBound: Option[Double] = None,
    matrix: Option[Seq[Seq[Double]]] = None
)

/** The applied mini-batches of one epoch of one worker.
  *
  * @param partition
  *   the worker's partition
  * @param index
  *   the index of the worker among those of the partition's task
  * @param epoch
  *   counted from 0
  * @param rows
  *   the number of rows applied
  * @param spans
  *   the mini-batches that each attempt applied, in order
  * @param supersededRows
  *   the number of rows that were applied before a retry brought other rows and the epoch started again
  * @param loss
  *   the weighted mean of the rows' losses
  * @param learningRate
  *   the learning rate of the last mini-batch
  * @param validation
  *   the scores of this worker's validation rows, if it has any
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
  *   Spark's `taskAttemptId`; -1 for those of the interrupted fit that this one resumed
  * @param start
  *   the index of the first mini-batch, counted from 0
  * @param batches
  *   the number of mini-batches
  * @param rows
  *   the number of their rows
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
      // An epoch whose rows have a weight of 0 has no loss, such as one that was cut short.
      loss <- e.loss
    } yield {
      // The final scores also have the confusion matrices.
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
