package firesteel.train

import java.util.concurrent.{ExecutorService, Executors, TimeUnit}

import scala.util.control.NonFatal

import firesteel.bridge.{CheckpointException, NativeServer}
import org.apache.hadoop.fs.Path
import org.apache.spark.SparkContext
import org.json4s.DefaultFormats
import org.json4s.jackson.JsonMethods.{parse, pretty, render}
import org.slf4j.LoggerFactory

/** Where and when a fit's checkpoints are written.
  *
  * @param directory
  *   the folder that the fit's own one is made in
  * @param seconds
  *   the time between two
  * @param commits
  *   after how many updates one is written before its time
  */
private[firesteel] final case class CheckpointPlan(
    directory: String,
    seconds: Double,
    commits: Option[Long]
)

/** What a fit has to do with checkpoints. Closing it gives back what others wait for. */
private[train] sealed trait Checkpoints extends AutoCloseable {

  /** The workers of the interrupted fit that this one goes on from, if there is one. */
  def workers: Option[Int]

  /** The fit's server, at its beginning or where an interrupted fit was.
    *
    * @param spec
    *   the `ServerSpec`
    */
  def open(spec: String): NativeServer

  /** What writes checkpoints of a server while its fit runs. */
  def writer(server: NativeServer): CheckpointWriter

  /** The fit has succeeded: nothing is needed any more. */
  def complete(): Unit
}

private[train] object Checkpoints {

  /** The checkpoints of a fit; locked, if there are to be any. Only then is the content of
    * the data asked for.
    *
    * @throws firesteel.bridge.CheckpointException
    *   naming the file that is in use by another writer, damaged or foreign
    */
  def of(context: SparkContext, plan: FitPlan, content: DataContent): Checkpoints =
    plan.checkpoint.fold[Checkpoints](new NoCheckpoints(plan)) { checkpoint =>
      require(
        plan.serverShards == 1,
        s"checkpointDir is set and serverShards is ${plan.serverShards}, but checkpoints hold what is on the driver's " +
          "server only: leave one of the two out"
      )
      val fingerprint = Fingerprint.of(plan, content)
      val path = new Path(new Path(checkpoint.directory), fingerprint.text)
      val files = path.getFileSystem(context.hadoopConfiguration)
      val folder = new CheckpointFolder(files, files.makeQualified(path))
      files.mkdirs(folder.path)
      val lock = CheckpointLock.acquire(files, folder.lockFile)
      try {
        folder.create(pretty(render(fingerprint.settings)))
        new FolderCheckpoints(folder, lock, fingerprint.text, checkpoint, plan)
      } catch {
        case error: Throwable =>
          lock.close()
          throw error
      }
    }

  /** A server at the beginning of a fit. */
  private[train] def start(spec: String, fit: FitPlan): NativeServer =
    NativeServer.open(spec, fit.moduleBytes, fit.initialWeights.map(_.bytes).orNull)
}

private final class NoCheckpoints(fit: FitPlan) extends Checkpoints {
  override def workers: Option[Int] = None
  override def open(spec: String): NativeServer = Checkpoints.start(spec, fit)
  override def writer(server: NativeServer): CheckpointWriter = NoWriter
  override def complete(): Unit = ()
  override def close(): Unit = ()
}

private final class FolderCheckpoints(
    folder: CheckpointFolder,
    lock: CheckpointLock,
    fingerprint: String,
    plan: CheckpointPlan,
    fit: FitPlan
) extends Checkpoints {
  import FolderCheckpoints._

  private var completed = false

  /** The checkpoint that was found, until the server has it. */
  private var found: Option[FoundCheckpoint] = folder.latest().map { case (file, bytes) =>
    naming(file)(read(file, bytes))
  }

  override val workers: Option[Int] = found.map(_.status.workers)

  override def open(spec: String): NativeServer = found match {
    case None =>
      log.info(s"Checkpoints are written to ${folder.path}, which has none of this fit yet")
      Checkpoints.start(spec, fit)
    case Some(FoundCheckpoint(file, bytes, status)) =>
      found = None
      log.info(s"The fit goes on from $file: ${status.rowsTrained} rows have been trained")
      naming(file)(NativeServer.resume(spec, fit.moduleBytes, bytes))
  }

  private def read(file: Path, bytes: Array[Byte]): FoundCheckpoint = {
    val status = parse(NativeServer.checkpointStatus(bytes)).extract[CheckpointStatus]
    if (status.fingerprint != fingerprint) {
      throw new CheckpointException(
        s"it is of another fit, whose fingerprint is ${status.fingerprint}"
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

  /** Names the file in what is wrong with a checkpoint. */
  private def naming[R](file: Path)(use: => R): R =
    try use
    catch {
      case error: CheckpointException =>
        val refused = new CheckpointException(
          s"The checkpoint $file is no use: ${error.getMessage}; delete it to train from the beginning"
        )
        refused.initCause(error)
        throw refused
    }

  private val log = LoggerFactory.getLogger("firesteel.train.Checkpoints")
  private implicit val formats: DefaultFormats.type = DefaultFormats
}

/** What a checkpoint says of itself; the fields are those of the native library's JSON. */
private[train] final case class CheckpointStatus(
    fingerprint: String,
    version: Long,
    epoch: Int,
    rowsTrained: Long,
    workers: Int
)

/** A checkpoint with the file that it was read from. */
private final case class FoundCheckpoint(file: Path, bytes: Array[Byte], status: CheckpointStatus)

/** Writes checkpoints when they are due. */
private[train] sealed trait CheckpointWriter extends AutoCloseable {

  /** Takes the newest state of the fit. Does not wait for anything. */
  def update(status: ServerStatus): Unit
}

private object NoWriter extends CheckpointWriter {
  override def update(status: ServerStatus): Unit = ()
  override def close(): Unit = ()
}

/** Writes on a thread of its own: a slow file system must not hold up who watches the fit. A checkpoint that fails is
  * told and costs nothing else.
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

  /** A checkpoint that is written too late must not appear: the fit may have succeeded. */
  @volatile private var givenUp = false

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
      if (lock.held) folder.write(server.checkpoint(fingerprint))(lock.held && !givenUp)
    catch {
      case NonFatal(error) =>
        log.warn(s"A checkpoint could not be written to ${folder.path}; the fit goes on", error)
    }

  /** Waits for a checkpoint that is being written. */
  override def close(): Unit = {
    executor.shutdown()
    val interrupted = Thread.interrupted()
    try
      if (!executor.awaitTermination(EndSeconds, TimeUnit.SECONDS)) {
        givenUp = true
        log.warn(s"A checkpoint is still being written to ${folder.path} and is given up")
        executor.shutdownNow()
        ()
      }
    finally if (interrupted) Thread.currentThread().interrupt()
  }
}

private object FolderWriter {
  private val log = LoggerFactory.getLogger("firesteel.train.Checkpoints")
  private val EndSeconds = 60L
}
