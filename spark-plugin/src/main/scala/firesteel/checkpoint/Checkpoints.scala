package firesteel.checkpoint

import java.util.concurrent.{ExecutorService, Executors, TimeUnit}

import scala.util.control.NonFatal

import firesteel.bridge.{CheckpointException, NativeServer}
import firesteel.network.{SafeTensors, TorchScriptArchive}
import firesteel.summary.ServerStatus
import org.apache.hadoop.fs.Path
import org.apache.spark.SparkContext
import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.{parse, pretty, render}
import org.slf4j.LoggerFactory

/** The folder and the times of a fit's checkpoints.
  *
  * @param directory
  *   the parent of the fit's own folder
  * @param seconds
  *   the time between two checkpoints
  * @param commits
  *   the number of updates after which a checkpoint is written ahead of its time
  */
private[firesteel] final case class CheckpointPlan(
    directory: String,
    seconds: Double,
    commits: Option[Long]
)

/** The checkpoints of a fit. `close` releases the lock that other fits wait for. */
private[firesteel] sealed trait Checkpoints extends AutoCloseable {

  /** The number of workers of the interrupted fit that this one resumes, if there is one. */
  def workers: Option[Int]

  /** Opens the fit's server, at the beginning of the fit or where an interrupted fit stopped.
    *
    * @param spec
    *   the `ServerSpec`
    */
  def open(spec: String): NativeServer

  /** Returns the writer of a server's checkpoints. */
  def writer(server: NativeServer): CheckpointWriter

  /** Marks the fit as successful: its checkpoints are no longer needed. */
  def complete(): Unit
}

private[firesteel] object Checkpoints {

  /** Opens the checkpoints of a fit and locks their folder, if the fit has checkpoints.
    *
    * @param plan
    *   the folder and the times of the checkpoints, if the fit has some
    * @param start
    *   the beginning of a fit without a checkpoint
    * @param fingerprint
    *   the identity of the fit; computed for a fit with checkpoints only, since it reads the data
    * @throws firesteel.bridge.CheckpointException
    *   naming the file that is in use by another writer, damaged or foreign
    */
  def open(context: SparkContext, plan: Option[CheckpointPlan], start: FitStart)(
      fingerprint: => Fingerprint
  ): Checkpoints =
    plan.fold[Checkpoints](new NoCheckpoints(start)) { checkpoint =>
      val own = fingerprint
      val path = new Path(new Path(checkpoint.directory), own.text)
      val files = path.getFileSystem(context.hadoopConfiguration)
      val folder = new CheckpointFolder(files, files.makeQualified(path))
      files.mkdirs(folder.path)
      val lock = CheckpointLock.acquire(files, folder.lockFile)
      try {
        folder.create(pretty(render(own.settings)))
        new FolderCheckpoints(folder, lock, own.text, checkpoint, start)
      } catch {
        case error: Throwable =>
          lock.close()
          throw error
      }
    }
}

/** The beginning of a fit that does not resume a checkpoint.
  *
  * @param module
  *   the archive of a TorchScript network
  * @param weights
  *   the initial weights; the module's own, or new ones from the seed, if not given
  */
private[firesteel] final case class FitStart(
    module: Option[TorchScriptArchive],
    weights: Option[SafeTensors]
) {

  /** The archive as native code takes it: null if there is none. */
  def moduleBytes: Array[Byte] = module.map(_.bytes).orNull

  /** Opens a server at the beginning of the fit. */
  def open(spec: String): NativeServer =
    NativeServer.open(spec, moduleBytes, weights.map(_.bytes).orNull)
}

private final class NoCheckpoints(start: FitStart) extends Checkpoints {
  override def workers: Option[Int] = None
  override def open(spec: String): NativeServer = start.open(spec)
  override def writer(server: NativeServer): CheckpointWriter = NoWriter
  override def complete(): Unit = ()
  override def close(): Unit = ()
}

private final class FolderCheckpoints(
    folder: CheckpointFolder,
    lock: CheckpointLock,
    fingerprint: String,
    plan: CheckpointPlan,
    start: FitStart
) extends Checkpoints {
  import FolderCheckpoints._

  private var completed = false

  /** The checkpoint to resume, until the server has it. */
  private var found: Option[FoundCheckpoint] = folder.latest().map { case (file, bytes) =>
    withFileName(file)(read(file, bytes))
  }

  override val workers: Option[Int] = found.map(_.status.workers)

  override def open(spec: String): NativeServer = found match {
    case None =>
      log.info(s"Checkpoints are written to ${folder.path}; this fit has none yet")
      start.open(spec)
    case Some(FoundCheckpoint(file, bytes, status)) =>
      found = None
      log.info(s"The fit resumes from $file: ${status.rowsTrained} rows have been trained")
      withFileName(file)(NativeServer.resume(spec, start.moduleBytes, bytes))
  }

  private def read(file: Path, bytes: Array[Byte]): FoundCheckpoint = {
    val status = parse(NativeServer.checkpointStatus(bytes)).extract[CheckpointStatus]
    if (status.fingerprint != fingerprint) {
      throw new CheckpointException(
        s"it belongs to another fit, with the fingerprint ${status.fingerprint}"
      )
    }
    FoundCheckpoint(file, bytes, status)
  }

  override def writer(server: NativeServer): CheckpointWriter =
    new FolderWriter(server, folder, lock, fingerprint, plan)

  override def complete(): Unit = completed = true

  override def close(): Unit =
    try {
      lock.stop()
      if (lock.held && (completed || folder.isEmpty)) folder.remove()
    } finally lock.close()
}

private object FolderCheckpoints {

  /** Adds the file's name to the error of a checkpoint. */
  private def withFileName[R](file: Path)(use: => R): R =
    try use
    catch {
      case error: CheckpointException =>
        val refused = new CheckpointException(
          s"The checkpoint $file is not usable: ${error.getMessage}; delete it to train from the beginning"
        )
        refused.initCause(error)
        throw refused
    }

  private val log = LoggerFactory.getLogger("firesteel.checkpoint.Checkpoints")
  private implicit val formats: DefaultFormats.type = DefaultFormats
}

/** The description of a checkpoint; the fields are those of the native library's JSON. */
private[firesteel] final case class CheckpointStatus(
    fingerprint: String,
    version: Long,
    epoch: Int,
    rowsTrained: Long,
    workers: Int
)

/** A checkpoint with the file that it was read from. */
private final case class FoundCheckpoint(file: Path, bytes: Array[Byte], status: CheckpointStatus)

/** Writes checkpoints when they are due. */
private[firesteel] sealed trait CheckpointWriter extends AutoCloseable {

  /** Starts a checkpoint if it is due by the newest state of the fit. Returns at once. */
  def update(status: ServerStatus): Unit
}

private object NoWriter extends CheckpointWriter {
  override def update(status: ServerStatus): Unit = ()
  override def close(): Unit = ()
}

/** Writes checkpoints on its own thread, so that a slow file system does not block the fit. A failure to write is only
  * logged.
  */
private final class FolderWriter(
    server: NativeServer,
    folder: CheckpointFolder,
    lock: CheckpointLock,
    fingerprint: String,
    plan: CheckpointPlan
) extends CheckpointWriter {
  import FolderWriter._

  private val executor: ExecutorService =
    Executors.newSingleThreadExecutor(CheckpointLock.thread("firesteel-checkpoint")(_))
  private var since = System.nanoTime()
  private var commits = -1L
  @volatile private var writing = false

  /** True once a running write has been abandoned: its checkpoint must not appear after the fit has succeeded. */
  @volatile private var abandoned = false

  override def update(status: ServerStatus): Unit = {
    if (commits < 0) commits = status.commits
    if (!writing && status.failure.isEmpty && isDue(status)) {
      since = System.nanoTime()
      commits = status.commits
      writing = true
      executor.execute(() =>
        try write()
        finally writing = false
      )
    }
  }

  private def isDue(status: ServerStatus): Boolean = {
    val news = status.commits - commits
    val seconds = (System.nanoTime() - since).toDouble / 1e9
    news > 0 && (seconds >= plan.seconds || plan.commits.exists(news >= _))
  }

  private def write(): Unit =
    try
      if (lock.held) folder.write(server.checkpoint(fingerprint))(lock.held && !abandoned)
    catch {
      case NonFatal(error) =>
        log.warn(s"Writing a checkpoint to ${folder.path} failed; the fit continues", error)
    }

  /** Waits for a checkpoint that is being written. */
  override def close(): Unit = {
    executor.shutdown()
    val interrupted = Thread.interrupted()
    try
      if (!executor.awaitTermination(EndSeconds, TimeUnit.SECONDS)) {
        abandoned = true
        log.warn(s"The checkpoint that is being written to ${folder.path} is abandoned")
        executor.shutdownNow()
        ()
      }
    finally if (interrupted) Thread.currentThread().interrupt()
  }
}

private object FolderWriter {
  private val log = LoggerFactory.getLogger("firesteel.checkpoint.Checkpoints")
  private val EndSeconds = 60L
}
