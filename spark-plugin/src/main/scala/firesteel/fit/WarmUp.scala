package firesteel.fit

import java.util.concurrent.atomic.AtomicBoolean

import scala.annotation.tailrec
import scala.util.control.NonFatal

import firesteel.bridge.NativeLibrary
import firesteel.data.{ElementType, InputColumn, InputFormat}
import firesteel.network.{Inspection, Linear, Network}
import firesteel.summary.ServerStatus
import firesteel.util.Resources
import org.apache.arrow.c.{ArrowSchema, Data}
import org.apache.arrow.vector.types.pojo.Schema
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.functions.{array, col}
import org.apache.spark.sql.{SparkSession, SparkSessionExtensions, SparkSessionExtensionsProvider}
import org.slf4j.LoggerFactory

/** Starts the warm-up when a JVM creates its first session. Found through `META-INF/services`. */
private[firesteel] final class WarmUpExtensions extends SparkSessionExtensionsProvider {
  override def apply(extensions: SparkSessionExtensions): Unit = WarmUp.start()
}

/** Loads the classes that a first fit needs, on a background thread. It plans a query and runs no job. Without
  * Firesteel's plugin nothing is loaded, since the application may have no fit at all.
  */
private[firesteel] object WarmUp {
  private val log = LoggerFactory.getLogger("firesteel.fit.WarmUp")
  private val PauseMillis = 20L
  private val SessionMillis = 10000L
  private val started = new AtomicBoolean

  /** Starts the thread, once a process. */
  def start(): Unit =
    if (NativeLibrary.isLoaded && started.compareAndSet(false, true)) {
      val thread = new Thread(() => run(), "firesteel-warm-up")
      thread.setDaemon(true)
      thread.start()
    }

  private def run(): Unit =
    // The fit itself reports these errors, if they matter for it.
    try {
      val _ = documents()
      openArrow()
      session(System.nanoTime() + SessionMillis * 1000000L).foreach(plan)
    } catch {
      case error @ (NonFatal(_) | _: LinkageError) => log.debug("The warm-up has failed", error)
    }

  /** Waits for the session that is being created. */
  @tailrec
  private def session(end: Long): Option[SparkSession] = {
    val found = SparkSession.getDefaultSession
    if (found.nonEmpty || System.nanoTime() > end) found
    else {
      Thread.sleep(PauseMillis)
      session(end)
    }
  }

  /** Parses documents like those that native code returns to a fit. */
  private[firesteel] def documents(): Seq[Any] = {
    val network = Network.sequential(Linear(1))
    val inputs = network.inputs.map { name =>
      InputColumn(name, Seq(name), InputFormat.Dense, ElementType.F32, Seq(1), scale = 1.0)
    }
    Seq(
      Inspection.of(network, inputs),
      ServerStatus.parseStatus(Status),
      ServerStatus.parseSummary(Summary),
      ServerStatus.parseReport(Report)
    )
  }

  private[firesteel] def openArrow(): Unit =
    Resources.use(SqlPrivate.allocator("firesteel-warm-up")) { allocator =>
      Resources.use(ArrowSchema.allocateNew(allocator)) { schema =>
        Data.exportSchema(allocator, new Schema(java.util.List.of()), null, schema)
        schema.release()
      }
    }

  private[firesteel] def plan(session: SparkSession): Unit = {
    val number = col("id").cast("float")
    val rows = session.range(1).select(array(number).as("features"), number.as("label"))
    SqlPrivate.compile(rows)
    SqlPrivate.compile(rows.select("features").limit(1))
  }

  private val Status =
    """{"port": 0, "version": 0, "commits": 0, "pulls": 0, "bytes": 0, "rowsTrained": 0, "warnings": [],
      |  "workers": [{"partition": 0, "index": 0, "state": "live", "epoch": 0, "batch": 0, "batches": 0, "rows": 0,
      |    "commits": 0, "stalenessSum": 0, "stalenessMax": 0, "bytes": 0, "waitSeconds": 0, "applySeconds": 0,
      |    "compressionRatio": 1, "compressionError": 0}],
      |  "epochs": [{"epoch": 0, "loss": 1, "rows": 0, "finishedWorkers": 0}]}""".stripMargin

  private val Summary =
    """{"stalenessHistogram": [0], "compressionRatio": 1, "compressionError": 0,
      |  "ledger": [{"partition": 0, "index": 0, "epoch": 0, "rows": 0, "supersededRows": 0,
      |    "spans": [{"attempt": 0, "start": 0, "batches": 0, "rows": 0}]}]}""".stripMargin

  private val Report =
    """{"partition": 0, "attempt": 0, "workers": [{"index": 0, "rows": 0}], "seconds": {"total": 0}}"""
}
