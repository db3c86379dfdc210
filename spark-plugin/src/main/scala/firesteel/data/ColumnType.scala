package firesteel.data

import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.types._

/** The content of a user's column, derived from its Spark type. */
private[data] sealed trait ColumnType {

  /** The element type of the values in the stream. */
  def element: ElementType
}

private[data] object ColumnType {

  /** A Spark ML vector, dense or sparse from row to row. */
  case object Vectors extends ColumnType {
    override def element: ElementType = ElementType.F32
  }

  /** An array of numbers. */
  final case class Numbers(elementType: NumericType) extends ColumnType {
    override def element: ElementType = elementOf(elementType)
  }

  /** Bytes. */
  case object Bytes extends ColumnType {
    override def element: ElementType = ElementType.U8
  }

  /** One number for each row. */
  final case class Number(dataType: DataType) extends ColumnType {
    override def element: ElementType = elementOf(dataType)
  }

  /** Returns the column type of a Spark type, if the type is accepted as an input. */
  def of(dataType: DataType): Option[ColumnType] = dataType match {
    case VectorType => Some(Vectors)
    case ArrayType(number: NumericType, _) => Some(Numbers(number))
    case BinaryType => Some(Bytes)
    case number: NumericType => Some(Number(number))
    case BooleanType => Some(Number(BooleanType))
    case _ => None
  }

  /** Returns the element type that holds the values of all of `elements`. */
  def common(elements: Seq[ElementType]): ElementType = {
    import ElementType._
    if (elements.contains(F32)) F32
    else elements.maxBy(_.width)
  }

  private def elementOf(dataType: DataType): ElementType = dataType match {
    case ByteType | BooleanType => ElementType.I8
    case ShortType => ElementType.I16
    case IntegerType => ElementType.I32
    case LongType => ElementType.I64
    case _ => ElementType.F32
  }
}
