package firesteel.data

import org.apache.arrow.memory.ArrowBuf
import org.apache.arrow.vector.complex.{ListVector, StructVector}
import org.apache.arrow.vector.{BaseFixedWidthVector, BaseVariableWidthVector}
import org.apache.arrow.vector.{TinyIntVector, ValueVector}
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnarBatch}
import org.apache.spark.unsafe.Platform

/** Copies rows of one fixed size out of Arrow vectors in one piece. Rows with a null, of another size or sparse go to
  * another writer, as do vectors that are not Arrow's.
  *
  * @param narrow
  *   true if the source holds doubles and the batch floats; else both hold the same type
  */
private[data] final class ArrowVectorWriter(
    ordinal: Int,
    builder: DenseBuilder,
    narrow: Boolean,
    fallback: VectorWriter
) extends VectorWriter {
  import ArrowVectorWriter._

  override def write(batch: ColumnarBatch, from: Int, count: Int, at: Int): Unit =
    batch.column(ordinal) match {
      case arrow: ArrowColumnVector =>
        lists(arrow.getValueVector, from, count).filter(regular(_, from, count)) match {
          case Some(found) => copy(found, from, count, at)
          case None => fallback.write(batch, from, count, at)
        }
      case _ => fallback.write(batch, from, count, at)
    }

  private def regular(lists: Lists, from: Int, count: Int): Boolean = {
    var i = 0
    while (i < count && lists.end(from + i) - lists.start(from + i) == builder.size) i += 1
    i == count
  }

  private def copy(lists: Lists, from: Int, count: Int, at: Int): Unit = {
    val first = lists.start(from).toLong
    val source = lists.values.memoryAddress
    val width = builder.rowBytes / builder.size
    if (narrow) {
      ArrayCopy.narrow(null, source + 8 * first, count * builder.size, builder.address(at))
    } else if (at > 0 || !builder.share(lists.values, width * first, count)) {
      val bytes = count * builder.rowBytes
      Platform.copyMemory(null, source + width * first, null, builder.address(at), bytes)
    }
  }
}

private object ArrowVectorWriter {

  /** Consecutive rows of values, and their offsets. */
  final class Lists(offsets: ArrowBuf, val values: ArrowBuf) {
    def start(row: Int): Int = offsets.getInt(4L * row)
    def end(row: Int): Int = offsets.getInt(4L * (row + 1))
  }

  /** Returns the rows of a vector without nulls that holds arrays, bytes or dense ML vectors. */
  def lists(vector: ValueVector, from: Int, count: Int): Option[Lists] = vector match {
    case _ if vector.getNullCount > 0 => None
    case list: ListVector => listValues(list)
    case bytes: BaseVariableWidthVector =>
      Some(new Lists(bytes.getOffsetBuffer, bytes.getDataBuffer))
    case ml: StructVector => dense(ml, from, count)
    case _ => None
  }

  private def listValues(list: ListVector): Option[Lists] = list.getDataVector match {
    case values: BaseFixedWidthVector if values.getNullCount == 0 =>
      Some(new Lists(list.getOffsetBuffer, values.getDataBuffer))
    case _ => None
  }

  private def dense(ml: StructVector, from: Int, count: Int): Option[Lists] =
    (
      ml.getVectorById(VectorRowWriter.KindField),
      ml.getVectorById(VectorRowWriter.ValuesField)
    ) match {
      case (kinds: TinyIntVector, values: ListVector) =>
        var i = 0
        while (i < count && kinds.get(from + i) == VectorRowWriter.DenseKind) i += 1
        if (i == count) listValues(values) else None
      case _ => None
    }
}
