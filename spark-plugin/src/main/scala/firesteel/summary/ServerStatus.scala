package firesteel.summary

import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.parse

/** The state of a running fit in the parameter server; the fields are those of the server's JSON. */
private[firesteel] final case class ServerStatus(
    port: Int,
    version: Long,
    commits: Long,
    pulls: Long,
    bytes: Long,
    workers: Seq[WorkerStatus],
    epochs: Seq[EpochStatus],
    rowsTrained: Long,
    recentLoss: Option[Double],
    warnings: Seq[String],
    failure: Option[FailureStatus],
    resumed: Option[ResumedStatus] = None,
    stopped: Option[String] = None,
    bestEpoch: Option[Int] = None
) {

  /** Returns true if all workers, of which there are this many, have finished. */
  def isFinished(of: Int): Boolean = workers.count(_.state == "finished") == of
}

/** The point from which a fit resumes: an epoch counted from 0, and the time that the interrupted fit had run. */
private[firesteel] final case class ResumedStatus(epoch: Int, millis: Long)

private[firesteel] final case class WorkerStatus(
    partition: Int,
    index: Int,
    state: String,
    epoch: Int,
    batch: Int,
    batches: Int,
    rows: Long,
    commits: Long,
    stalenessSum: Long,
    stalenessMax: Long,
    bytes: Long,
    waitSeconds: Double,
    applySeconds: Double,
    compressionRatio: Double,
    compressionError: Double
)

private[firesteel] final case class EpochStatus(
    epoch: Int,
    loss: Option[Double],
    rows: Long,
    finishedWorkers: Int,
    learningRate: Option[Double] = None,
    validation: Option[ValidationSummary] = None
)

private[firesteel] final case class FailureStatus(code: Int, message: String)

/** The server's record of a finished fit. */
private[firesteel] final case class ServerSummary(
    stalenessHistogram: Seq[Long],
    ledger: Seq[LedgerEntry],
    compressionRatio: Double,
    compressionError: Double,
    evaluations: Seq[ValidationSummary] = Nil
)

/** The report of a task's workers at their end; the fields are those of the worker's JSON. */
private[firesteel] final case class TaskReport(
    partition: Int,
    attempt: Long,
    workers: Seq[MemberReport],
    seconds: Map[String, Double],
    learning: Option[LearningReport] = None
)

private[firesteel] final case class MemberReport(index: Int, rows: Long)

/** The signs of learning of a task's workers: parameters by name, and the results of a sample of their rows. */
private[firesteel] final case class LearningReport(
    unreached: Seq[String],
    withoutGradient: Seq[String],
    sample: Option[SampleReport]
)

private[firesteel] final case class SampleReport(
    rows: Int,
    loss: Option[Double],
    shuffledLoss: Option[Double],
    outputs: Seq[OutputReport],
    dead: Seq[DeadReport]
)

/** The prediction, if it is the same for all rows. */
private[firesteel] final case class OutputReport(output: String, constant: Option[String])

private[firesteel] final case class DeadReport(layer: String, dead: Long, units: Long)

private[firesteel] object ServerStatus {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  def parseStatus(json: String): ServerStatus = parse(json).extract[ServerStatus]

  def parseReport(json: String): TaskReport = parse(json).extract[TaskReport]

  def parseSummary(json: String): ServerSummary = parse(json).extract[ServerSummary]
}
